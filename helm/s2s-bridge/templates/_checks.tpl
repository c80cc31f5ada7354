{{/*
What `s2s-bridge check` would refuse and no schema can say, as keys must agree with each other; and what would only be
found out in the cluster. All faults at once, in the words of `check`, with their path in the values.
*/}}
{{- define "s2s-bridge.checks" -}}
{{- $faults := list -}}
{{- range list "names" "namespaces" "identify" "schemas" "taxonomies" "topics" "userSync" "audiences" "accounts" "audienceSegments" "files" "replays" "cluster" -}}
  {{- range include (printf "s2s-bridge.faults.%s" .) $ | splitList "\n" -}}
    {{- with trim . -}}{{- $faults = append $faults . -}}{{- end -}}
  {{- end -}}
{{- end -}}
{{- if $faults -}}{{- fail (printf "\n%s" (uniq $faults | join "\n")) -}}{{- end -}}
{{- end -}}

{{/* Bytes of 20GB, 256MiB, 1048576, 30Gi. */}}
{{- define "s2s-bridge.bytes" -}}
{{- $units := dict "" 1 "K" 1000 "M" 1000000 "G" 1000000000 "T" 1000000000000 "KI" 1024 "MI" 1048576 "GI" 1073741824 "TI" 1099511627776 -}}
{{- mul (regexFind "^[0-9]+" . | int64) (get $units (regexFind "[A-Za-z]*$" . | upper | trimSuffix "B") | int64) -}}
{{- end -}}

{{/* Bytes of the volume that the spool needs: a fifth more, for the ledger, files in the making and the file system. */}}
{{- define "s2s-bridge.spoolBytes" -}}
{{- $spool := include "s2s-bridge.bytes" (.Values.config.spool.max_bytes | default "20GB") | int64 -}}
{{- add $spool (div $spool 5) -}}
{{- end -}}

{{/* The keys of clients by the names of their streams. */}}
{{- define "s2s-bridge.keys" -}}
{{- $keys := dict -}}
{{- range $key, $_client := .Values.clients -}}{{- $_ := set $keys (lower $key) $key -}}{{- end -}}
{{- toJson $keys -}}
{{- end -}}

{{- define "s2s-bridge.faults.names" -}}
{{- $names := dict -}}
{{- range $key, $client := .Values.clients }}
{{- if hasKey $names (lower $key) }}
clients.{{ $key }}: is a stream's name in lower case, and so is {{ get $names (lower $key) }}; rename one
{{- end }}
{{- $_ := set $names (lower $key) $key }}
{{- if and $client.global $client.client }}
clients.{{ $key }}.client: stands beside global; keep one of the two
{{- end }}
{{- end }}
{{- end -}}

{{- define "s2s-bridge.faults.namespaces" -}}
{{- $keys := include "s2s-bridge.keys" . | fromJson -}}
{{- range $stream := (include "s2s-bridge.streams" . | fromJson).streams }}
{{- $at := printf "clients.%s" (get $keys $stream.name) }}
{{- $main := $stream.user_namespace | default "mm" }}
{{- if and (eq $main "mm") $stream.user_table_id }}
{{ $at }}.user_table_id: is for a user_namespace other than mm; remove it
{{- else if and (ne $main "mm") (not $stream.user_table_id) }}
{{ $at }}.user_table_id: missing; a user_namespace other than mm needs it
{{- end }}
{{- range $namespace, $table := $stream.user_namespaces }}
{{- if eq $namespace $main }}
{{ $at }}.user_namespaces.{{ $namespace }}: is the client's user_namespace already; remove it
{{- else if and (eq $namespace "mm") (not (kindIs "invalid" $table)) }}
{{ $at }}.user_namespaces.{{ $namespace }}: has a table id, and mm has none; write null
{{- else if and (ne $namespace "mm") (not $table) }}
{{ $at }}.user_namespaces.{{ $namespace }}: has no table id; write it
{{- end }}
{{- end }}
{{- $fields := values ($stream.fields | default dict) }}
{{- if ne (len $fields) (len (uniq $fields)) }}
{{ $at }}.fields: a field of the topic stands twice; it has one meaning: keep one
{{- end }}
{{- end }}
{{- end -}}

{{- define "s2s-bridge.faults.identify" -}}
{{- $keys := include "s2s-bridge.keys" . | fromJson -}}
{{- $streams := (include "s2s-bridge.streams" . | fromJson).streams -}}
{{- $sync := .Values.config.user_sync | default dict -}}
{{- $tables := list -}}
{{- range $stream := $streams }}
{{- if $stream.identify }}{{- $tables = append $tables ($stream.identify.table | default "user-sync") -}}{{- end }}
{{- end }}
{{- range $stream := $streams }}
{{- if $stream.identify }}
{{- $at := printf "clients.%s" (get $keys $stream.name) }}
{{- $from := $stream.identify.from }}
{{- if ne (toString $stream.inventory) "display" }}
{{ $at }}.mobile: must be false with identify: device ids are not translated; remove it
{{- end }}
{{- if ne ($stream.user_namespace | default "mm") "mm" }}
{{ $at }}.user_namespace: is for ids that are sent as they are; remove it, or identify
{{- end }}
{{- if or (eq $from "mm") (hasKey ($stream.user_namespaces | default dict) $from) }}
{{ $at }}.identify.from: is a namespace whose ids are sent as they are; write that of the ids to translate
{{- end }}
{{- if gt (len (uniq $tables)) 1 }}
{{ $at }}.identify.table: differs from another client's; a bridge has one identity table
{{- end }}
{{- if $sync.sqlite_file }}
config.user_sync.sqlite_file: is no topic, which identify needs; write config.user_sync.topic instead
{{- else if and $sync (ne ($stream.identify.table | default "user-sync") ($sync.topic | default "user-sync")) }}
{{ $at }}.identify.table: differs from config.user_sync.topic; write the same
{{- end }}
{{- end }}
{{- end }}
{{- range $key, $client := .Values.clients }}
{{- range $topic := $client.topics }}
{{- range $table := uniq $tables }}
{{- if or (eq $topic $table) (and (hasPrefix "^" $topic) (mustRegexMatch $topic $table)) }}
clients.{{ $key }}.topics: {{ $table }} is the topic of mappings, and holds no events; keep them apart
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "s2s-bridge.faults.schemas" -}}
{{- $keys := include "s2s-bridge.keys" . | fromJson -}}
{{- range $stream := (include "s2s-bridge.streams" . | fromJson).streams }}
{{- $at := printf "clients.%s" (get $keys $stream.name) }}
{{- $name := $stream.schema | default "" }}
{{- if and (not $name) (has $stream.format (list "avro" "avro-single-object")) }}
{{ $at }}.schema: missing; format {{ $stream.format }} needs the .avsc that the topic is written with (README.md, Schemas)
{{- else if and (not $name) (eq $stream.format "avro-confluent") (not $.Values.config.schema_registry) }}
{{ $at }}.schema: missing; format avro-confluent needs it, or config.schema_registry
{{- else if and $name (not (hasPrefix "/" $name)) (not (hasKey $.Values.schemas $name)) }}
{{ $at }}.schema: is no key of schemas; put the file's text there, or write an absolute path in the container
{{- else if hasKey $.Values.schemas $name }}
{{- $record := get $.Values.schemas $name | fromJson }}
{{- if hasKey $record "Error" }}
schemas.{{ $name }}: is no JSON; give an .avsc's text
{{- else if ne (toString $record.type) "record" }}
schemas.{{ $name }}: is no Avro record; the schema of an event is one
{{- else }}
{{- $there := list }}
{{- range $record.fields }}{{- $there = append $there .name }}{{- end }}
{{- range $ours := list "user_id" "segments" "event_time" }}
{{- $theirs := get ($stream.fields | default dict) $ours | default $ours }}
{{- if not (has $theirs $there) }}
{{ $at }}.schema: {{ $name }} has no field {{ $theirs }}; name the topic's field under fields.{{ $ours }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- range $name, $_text := .Values.schemas }}
{{- if or (eq $name "bridge.yaml") (hasPrefix "known-hosts." $name) }}
schemas.{{ $name }}: is the name of another file of the chart's; rename it
{{- end }}
{{- end }}
{{- end -}}

{{- define "s2s-bridge.faults.taxonomies" -}}
{{- $keys := include "s2s-bridge.keys" . | fromJson -}}
{{- range $stream := (include "s2s-bridge.streams" . | fromJson).streams }}
{{- $at := printf "clients.%s" (get $keys $stream.name) }}
{{- $taxonomy := $stream.taxonomy }}
{{- if and (not $taxonomy) (eq (toString $stream.unknown_segments) "refuse") }}
{{ $at }}.taxonomy: missing; unknown_segments: refuse needs it
{{- else if kindIs "string" $taxonomy }}
{{- if not (or (hasPrefix "/" $taxonomy) (hasKey $.Values.taxonomies $taxonomy)) }}
{{ $at }}.taxonomy: is no key of taxonomies; put the file's text there, or write an absolute path in the container
{{- end }}
{{- else if $taxonomy }}
{{- $account := $stream.account | default "default" }}
{{- if kindIs "map" $account }}{{- $account = get $account (ternary "mobile" "display" (eq $stream.inventory "mobile")) }}{{- end }}
{{- $platform := (get $.Values.accounts $account | default dict).platform | default dict }}
{{- if not $platform.audience_segments }}
{{ $at }}.taxonomy: is an id, which needs accounts.{{ $account }}.platform.audience_segments; write that, or a file
{{- end }}
{{- end }}
{{- end }}
{{- range $name, $_text := .Values.taxonomies }}
{{- if or (eq $name "bridge.yaml") (hasPrefix "known-hosts." $name) (hasKey $.Values.schemas $name) }}
taxonomies.{{ $name }}: is the name of another file of the chart's; rename it
{{- end }}
{{- end }}
{{- end -}}

{{- define "s2s-bridge.faults.topics" -}}
{{- $owner := dict -}}
{{- $expressions := dict -}}
{{- range $key, $client := .Values.clients }}
{{- range $topic := $client.topics }}
{{- if hasKey $owner $topic }}
clients.{{ $key }}.topics: {{ $topic }} stands in clients.{{ get $owner $topic }} too; a topic belongs to one client: keep one
{{- end }}
{{- $_ := set $owner $topic $key }}
{{- if hasPrefix "^" $topic }}
{{- $_ := set $expressions $topic $key }}
{{- if gt (len $client.topics) 1 }}
clients.{{ $key }}.topics: {{ $topic }} is a ^regex beside other topics; let it stand alone
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- $letters := (.Values.config.dead_letters | default dict).topic }}
{{- if and $letters (hasKey $owner $letters) }}
config.dead_letters.topic: is consumed by clients.{{ get $owner $letters }}; write to a topic that no client reads
{{- end }}
{{- $synced := "" }}
{{- with .Values.config.user_sync }}{{- if not .sqlite_file }}{{- $synced = .topic | default "user-sync" }}{{- end }}{{- end }}
{{- if and $synced (hasKey $owner $synced) }}
config.user_sync.topic: {{ $synced }} is consumed by clients.{{ get $owner $synced }}, and holds no events; keep them apart
{{- end }}
{{- range $expression, $key := $expressions }}
{{- if and $synced (mustRegexMatch $expression $synced) }}
config.user_sync.topic: {{ $synced }} is consumed by clients.{{ $key }}, and holds no events; keep them apart
{{- end }}
{{- range $topic, $other := $owner }}
{{- if and (not (hasPrefix "^" $topic)) (mustRegexMatch $expression $topic) }}
clients.{{ $other }}.topics: {{ $topic }} is matched by that of clients.{{ $key }}; narrow the regex
{{- end }}
{{- end }}
{{- if and $letters (mustRegexMatch $expression $letters) }}
config.dead_letters.topic: is consumed by clients.{{ $key }}; write to a topic that no client reads
{{- end }}
{{- end }}
{{- end -}}

{{/* What is said of an audience is said alike by all that feed it. */}}
{{- define "s2s-bridge.faults.audiences" -}}
{{- $said := dict -}}
{{- range $stream := (include "s2s-bridge.streams" . | fromJson).streams }}
{{- $says := printf "placeholder_segment %d and historical_after %v" (int64 ($stream.placeholder_segment | default 9999999)) ($stream.historical_after | default "null") }}
{{- $namespaces := append ($stream.segment_namespaces | default list) $stream.segment_namespace }}
{{- $tables := merge (dict ($stream.user_namespace | default "mm") ($stream.user_table_id | default "")) ($stream.user_namespaces | default dict) }}
{{- $inventories := ternary (list "display" "mobile") (list $stream.inventory) (eq $stream.inventory "event") }}
{{- range $inventory := $inventories }}
{{- $account := $stream.account | default "default" }}
{{- if kindIs "map" $account }}{{- $account = get $account $inventory }}{{- end }}
{{- range $client := append ($stream.clients | default list) ($stream.client | default "") }}
{{- range $namespace := $namespaces }}
{{- range $users, $table := $tables }}
{{- $audience := list $account $client $users ($table | default "") $namespace $inventory ($stream.hash_segments | default false) | toJson }}
{{- if and (hasKey $said $audience) (ne (index (get $said $audience) 0) $says) }}
clients: {{ $stream.name }} says {{ $says }}, and {{ index (get $said $audience) 1 }}, which feeds the same audience, otherwise; give both the same
{{- else }}
{{- $_ := set $said $audience (list $says $stream.name) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "s2s-bridge.faults.accounts" -}}
{{- $logins := dict -}}
{{- range $name, $account := .Values.accounts }}
{{- $login := printf "%s:%d %s" (lower $account.sftp.host) (int ($account.sftp.port | default 2222)) $account.sftp.username }}
{{- if hasKey $logins $login }}
accounts.{{ $name }}.sftp.username: is, with its host, that of accounts.{{ get $logins $login }}, whose quota it shares; make them one
{{- end }}
{{- $_ := set $logins $login $name }}
{{- $log := ($account.platform | default dict).processing_log }}
{{- if kindIs "invalid" $log }}
{{- if eq true $account.wait_for_confirmation }}
accounts.{{ $name }}.wait_for_confirmation: needs platform.processing_log, which confirms files; name it, or remove this
{{- end }}
{{- else }}
{{- if and $account.sftp.private_key (not $log.password) }}
accounts.{{ $name }}.platform.processing_log.password: missing; the log has no log-in by key, and needs a password
{{- end }}
{{- if and (hasPrefix "http://" ($log.url | default "")) (not $log.allow_plain_http) (not (regexMatch "^http://(localhost|127[.][0-9.]+|[[]::1[]])(:|/|$)" $log.url)) }}
accounts.{{ $name }}.platform.processing_log.url: sends the password over http:// to another machine; write https://, or set allow_plain_http
{{- end }}
{{- $meanings := dict }}
{{- range $meaning, $default := dict "confirmed" (list "loaded") "rejected" (list "rejected") "pending" (list "received") }}
{{- range $status := ternary (get $log $meaning) $default (kindIs "slice" (get $log $meaning)) | uniq }}
{{- if hasKey $meanings $status }}
accounts.{{ $name }}.platform.processing_log.{{ $meaning }}: has a status of {{ get $meanings $status }} too; a status means one thing
{{- end }}
{{- $_ := set $meanings $status $meaning }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- $keys := include "s2s-bridge.keys" . | fromJson }}
{{- range $stream := (include "s2s-bridge.streams" . | fromJson).streams }}
{{- $named := list ($stream.account | default "default") }}
{{- if kindIs "map" $stream.account }}{{- $named = values $stream.account }}{{- end }}
{{- range $account := $named }}
{{- if not (hasKey $.Values.accounts $account) }}
clients.{{ get $keys $stream.name }}.account: names no account ({{ $account }}); write the name of one under accounts
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "s2s-bridge.faults.files" -}}
{{- range $property, $_secret := .Values.config.kafka.secret_properties }}
{{- if hasKey ($.Values.config.kafka.properties | default dict) $property }}
config.kafka.secret_properties.{{ $property }}: stands in config.kafka.properties too; keep one
{{- end }}
{{- end }}
{{- if gt (len (include "s2s-bridge.configuration" .)) 1000000 }}
clients: make a configuration of more than 1,000,000 bytes, which the bridge does not read; let clients share a stream (README.md, Clients)
{{- end }}
{{- end -}}

{{- define "s2s-bridge.faults.replays" -}}
{{- if .Values.replay.enabled }}
{{- range list "from" "to" }}
{{- if not (get $.Values.replay .) }}
replay.{{ . }}: missing; write a time as 2026-11-01T00:00:00Z, or -30d, or now
{{- end }}
{{- end }}
{{- end }}
{{- $keys := include "s2s-bridge.keys" . | fromJson }}
{{- range $job := list "replay" "refresh" }}
{{- range (get $.Values $job).streams }}
{{- if not (hasKey $keys (lower .)) }}
{{ $job }}.streams: there is no client {{ . }}; write one of clients
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "s2s-bridge.faults.cluster" -}}
{{- if lt (include "s2s-bridge.bytes" .Values.persistence.size | int64) (include "s2s-bridge.spoolBytes" . | int64) }}
persistence.size: {{ .Values.persistence.size }} is less than config.spool.max_bytes ({{ .Values.config.spool.max_bytes }}) and a fifth, which the ledger, files in the making and the file system take; make it larger
{{- end }}
{{- if regexMatch "^(127[.]|localhost$|\\[::1\\]$)" .Values.http.address }}
http.address: {{ .Values.http.address }} is the pod's alone, and kubelet's probes come from outside: it would be killed again and again; write 0.0.0.0 or "[::]"
{{- end }}
{{- if regexMatch "^[0-9]" (include "s2s-bridge.fullname" .) }}
fullnameOverride: missing; {{ include "s2s-bridge.fullname" . }} begins with a digit, which the name of a Service may not
{{- end }}
{{- range $label := list "name" "instance" "component" }}
{{- if hasKey $.Values.podLabels (printf "app.kubernetes.io/%s" $label) }}
podLabels.app.kubernetes.io/{{ $label }}: is the chart's own, by which the bridge's pod is found; remove it
{{- end }}
{{- end }}
{{- if hasKey .Values.podAnnotations "checksum/config" }}
podAnnotations.checksum/config: is the chart's own; remove it
{{- end }}
{{- include "s2s-bridge.faults.variables" (dict "at" "extraEnv" "env" .Values.extraEnv "configuration" (include "s2s-bridge.configuration" .)) }}
{{- end -}}

{{/* Variables that a configuration names and an environment has not: (dict "at" PATH "env" LIST "configuration" TEXT). */}}
{{- define "s2s-bridge.faults.variables" -}}
{{- range (append (regexFindAll "\\$\\{[^}]*\\}" .configuration -1 | default list) "") | uniq | compact }}
{{- $wanted := trimSuffix "}" (trimPrefix "${" .) }}
{{- $known := false }}
{{- range $.env }}{{- if eq .name $wanted }}{{- $known = true }}{{- end }}{{- end }}
{{- if not $known }}
{{ $.at }}: has no {{ $wanted }}, which the configuration names as {{ . }}; add it
{{- end }}
{{- end }}
{{- end -}}
