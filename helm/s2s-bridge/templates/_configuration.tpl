{{/*
The bridge's configuration, made of the values. Each helper returns JSON, which toYaml writes as whole numbers
where plain printing would write 2e+10.
*/}}

{{/* What a client's stream is, with the defaults it takes: {"streams": [...]}, by name of the client. */}}
{{- define "s2s-bridge.streams" -}}
{{- $streams := list -}}
{{- range $key, $client := .Values.clients -}}
  {{- $stream := omit $client "display" "mobile" "global" -}}
  {{- range $name, $value := $.Values.streamDefaults -}}
    {{- if not (hasKey $stream $name) -}}{{- $_ := set $stream $name $value -}}{{- end -}}
  {{- end -}}
  {{- $_ := set $stream "name" (lower $key) -}}
  {{- $_ := set $stream "inventory" (ternary "event" (ternary "mobile" "display" (eq true $client.mobile)) (and (eq true $client.display) (eq true $client.mobile))) -}}
  {{- if not (or $client.global $client.client) -}}{{- $_ := set $stream "client" $key -}}{{- end -}}
  {{- $streams = append $streams $stream -}}
{{- end -}}
{{- dict "streams" $streams | toJson -}}
{{- end -}}

{{/* The accounts with the paths of their files: {"accounts": [...]}. */}}
{{- define "s2s-bridge.accounts" -}}
{{- $accounts := list -}}
{{- range $name, $values := .Values.accounts -}}
  {{- $sftp := omit $values.sftp "password" "private_key" "known_hosts" -}}
  {{- range $secret := list "password" "private_key" -}}
    {{- if index $values.sftp $secret -}}
      {{- $_ := set $sftp (printf "%s_file" $secret) (printf "%s/accounts/%s/%s" $.Values.secretsMountPath $name $secret) -}}
    {{- end -}}
  {{- end -}}
  {{- if $values.sftp.known_hosts -}}{{- $_ := set $sftp "known_hosts_file" (printf "known-hosts.%s" $name) -}}{{- end -}}
  {{- $account := merge (dict "name" $name "sftp" $sftp) (omit $values "sftp" "platform") -}}
  {{- with $values.platform -}}
    {{- $platform := omit . "processing_log" "audience_segments" -}}
    {{- if not (kindIs "invalid" .processing_log) -}}
      {{- $log := omit .processing_log "password" -}}
      {{- if .processing_log.password -}}{{- $_ := set $log "password_file" (printf "%s/accounts/%s/processing_log" $.Values.secretsMountPath $name) -}}{{- end -}}
      {{- $_ := set $platform "processing_log" $log -}}
    {{- end -}}
    {{- with .audience_segments -}}
      {{- $folder := printf "%s/accounts/%s" $.Values.secretsMountPath $name -}}
      {{- $_ := set $platform "audience_segments" (include "s2s-bridge.audienceSegments" (dict "settings" . "folder" $folder) | fromJson) -}}
    {{- end -}}
    {{- $_ := set $account "platform" $platform -}}
  {{- end -}}
  {{- $accounts = append $accounts $account -}}
{{- end -}}
{{- dict "accounts" $accounts | toJson -}}
{{- end -}}

{{/* Those of Kafka's secrets, as below. */}}
{{- define "s2s-bridge.kafkaFiles" -}}
{{- $files := list -}}
{{- range $property, $secret := .Values.config.kafka.secret_properties -}}
  {{- $files = append $files (merge (dict "path" (printf "kafka/%s" $property)) $secret) -}}
{{- end -}}
{{- dict "files" $files | toJson -}}
{{- end -}}

{{/* Files of existing secrets, under secretsMountPath: {"files": [{"path", "existingSecret", "key"}]}. */}}
{{- define "s2s-bridge.secretFiles" -}}
{{- $files := list -}}
{{- range $name, $values := .Values.accounts -}}
  {{- range $secret := list "password" "private_key" -}}
    {{- with index $values.sftp $secret -}}
      {{- $files = append $files (merge (dict "path" (printf "accounts/%s/%s" $name $secret)) .) -}}
    {{- end -}}
  {{- end -}}
  {{- with ((($values.platform | default dict).processing_log) | default dict).password -}}
    {{- $files = append $files (merge (dict "path" (printf "accounts/%s/processing_log" $name)) .) -}}
  {{- end -}}
  {{- with ($values.platform | default dict).audience_segments -}}
    {{- $files = append $files (merge (dict "path" (printf "accounts/%s/audience_segments_password" $name)) .auth.password) -}}
    {{- $files = append $files (merge (dict "path" (printf "accounts/%s/audience_segments_client_secret" $name)) .auth.client_secret) -}}
  {{- end -}}
{{- end -}}
{{- $files = concat $files (include "s2s-bridge.kafkaFiles" . | fromJson).files -}}
{{- with (.Values.config.schema_registry | default dict).password -}}
  {{- $files = append $files (merge (dict "path" "schema-registry/password") .) -}}
{{- end -}}
{{- dict "files" (concat $files (include "s2s-bridge.userSync.keys" . | fromJson).files) | toJson -}}
{{- end -}}

{{- define "s2s-bridge.configuration" -}}
{{- $config := .Values.config -}}
{{- $kafka := omit $config.kafka "secret_properties" -}}
{{- $secrets := dict -}}
{{- range $property, $_secret := $config.kafka.secret_properties -}}
  {{- $_ := set $secrets $property (printf "%s/kafka/%s" $.Values.secretsMountPath $property) -}}
{{- end -}}
{{- if $secrets -}}{{- $_ := set $kafka "secret_properties" $secrets -}}{{- end -}}
{{- $document := omit $config "kafka" "schema_registry" "spool" "user_sync" -}}
{{- $_ := set $document "kafka" $kafka -}}
{{- with $config.schema_registry -}}
  {{- $registry := omit . "password" -}}
  {{- if .password -}}{{- $_ := set $registry "password_file" (printf "%s/schema-registry/password" $.Values.secretsMountPath) -}}{{- end -}}
  {{- $_ := set $document "schema_registry" $registry -}}
{{- end -}}
{{- if $config.user_sync -}}{{- $_ := set $document "user_sync" (include "s2s-bridge.userSync" . | fromJson) -}}{{- end -}}
{{- $_ := set $document "spool" (merge (dict "directory" (printf "%s/spool" .Values.persistence.mountPath)) $config.spool) -}}
{{- $_ := set $document "http" (dict "listen" (printf "%s:%d" .Values.http.address (int .Values.http.port))) -}}
{{- $_ := set $document "accounts" (include "s2s-bridge.accounts" . | fromJson).accounts -}}
{{- $_ := set $document "streams" (include "s2s-bridge.streams" . | fromJson).streams -}}
{{- toYaml $document -}}
{{- end -}}

{{/* Ports (TCP) of the brokers, and further ones that are named for all pods: {"ports": [...]}. */}}
{{- define "s2s-bridge.kafkaPorts" -}}
{{- $ports := .Values.networkPolicy.extraPorts -}}
{{- range splitList "," .Values.config.kafka.bootstrap_servers -}}
  {{- $ports = append $ports (regexFind "[0-9]+$" (regexFind ":[0-9]+$" .) | default 9092 | int) -}}
{{- end -}}
{{- dict "ports" (uniq $ports) | toJson -}}
{{- end -}}

{{/* Ports (TCP) that the configuration names: {"ports": [...]}. */}}
{{- define "s2s-bridge.ports" -}}
{{- $ports := (include "s2s-bridge.kafkaPorts" . | fromJson).ports -}}
{{- $urls := list -}}
{{- with (.Values.config.schema_registry | default dict).url -}}{{- $urls = append $urls . -}}{{- end -}}
{{- range .Values.accounts -}}
  {{- $ports = append $ports (.sftp.port | default 2222) -}}
  {{- $log := (.platform | default dict).processing_log -}}
  {{- if not (kindIs "invalid" $log) -}}{{- $urls = append $urls ($log.url | default "https:") -}}{{- end -}}
  {{- with (.platform | default dict).audience_segments -}}
    {{- $urls = concat $urls (values (include "s2s-bridge.audienceSegments.urls" . | fromJson)) -}}
  {{- end -}}
{{- end -}}
{{- range $urls -}}
  {{- $authority := regexFind "^https?://[^/]+" . -}}
  {{- $ports = append $ports (regexFind "[0-9]+$" (regexFind ":[0-9]+$" $authority) | default (ternary 443 80 (hasPrefix "https:" .))) -}}
{{- end -}}
{{- $numbers := list -}}
{{- range $ports -}}{{- $numbers = append $numbers (int .) -}}{{- end -}}
{{- dict "ports" (uniq $numbers) | toJson -}}
{{- end -}}
