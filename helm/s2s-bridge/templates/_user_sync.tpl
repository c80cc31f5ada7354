{{/* The user sync: its part of the configuration, and what of the values does not fit together. */}}

{{/* user_sync with the chart's own addresses and the paths of its keys. */}}
{{- define "s2s-bridge.userSync" -}}
{{- $sync := omit .Values.config.user_sync "signing_keys" -}}
{{- range $setting, $port := dict "listen" .Values.userSync.port "status_listen" .Values.userSync.statusPort -}}
  {{- $_ := set $sync $setting (printf "%s:%d" $.Values.http.address (int $port)) -}}
{{- end -}}
{{- $paths := list -}}
{{- range (include "s2s-bridge.userSync.keys" . | fromJson).files -}}
  {{- $paths = append $paths (printf "%s/%s" $.Values.secretsMountPath .path) -}}
{{- end -}}
{{- if $paths -}}{{- $_ := set $sync "signing_key_files" $paths -}}{{- end -}}
{{- toJson $sync -}}
{{- end -}}

{{/* Files of the signing keys, as "s2s-bridge.secretFiles" has them. */}}
{{- define "s2s-bridge.userSync.keys" -}}
{{- $files := list -}}
{{- range $at, $secret := (.Values.config.user_sync | default dict).signing_keys -}}
  {{- $files = append $files (merge (dict "path" (printf "user-sync/signing_key_%d" $at)) $secret) -}}
{{- end -}}
{{- dict "files" $files | toJson -}}
{{- end -}}

{{/* What of the secrets its pods are given: nothing of the platform's accounts. */}}
{{- define "s2s-bridge.userSync.files" -}}
{{- $kafka := (include "s2s-bridge.kafkaFiles" . | fromJson).files -}}
{{- dict "files" (concat $kafka (include "s2s-bridge.userSync.keys" . | fromJson).files) | toJson -}}
{{- end -}}

{{/* What of the configuration `sync serve` uses; and all that its pods are told, so that a change elsewhere restarts none. */}}
{{- define "s2s-bridge.userSync.configuration" -}}
{{- $used := pick (include "s2s-bridge.configuration" . | fromYaml) "kafka" "user_sync" "logging" -}}
{{- set $used "kafka" (omit $used.kafka "group_id") | toYaml -}}
{{- end -}}

{{- define "s2s-bridge.userSync.serviceAccountName" -}}
{{- with .Values.userSync.serviceAccount -}}
{{- .name | default (ternary (printf "%s-sync" (include "s2s-bridge.fullname" $)) "default" .create) -}}
{{- end -}}
{{- end -}}

{{/* Where browsers come, beside each other: {"paths": [...]}. */}}
{{- define "s2s-bridge.userSync.paths" -}}
{{- $sync := .Values.config.user_sync | default dict -}}
{{- dict "paths" (list ($sync.path | default "/sync") ($sync.opt_out_path | default "/opt-out")) | toJson -}}
{{- end -}}

{{- define "s2s-bridge.faults.userSync" -}}
{{- with .Values.config.user_sync }}
{{- $at := "config.user_sync" }}
{{- if .sqlite_file }}
{{ $at }}.sqlite_file: is one pod's alone, and is gone with it; no other pod would see its mappings. Remove it, and create the topic {{ .topic | default "user-sync" }} (docs/user-sync.md)
{{- end }}
{{- if eq .namespace "mm" }}
{{ $at }}.namespace: is the platform's own, mm; write the namespace of your ids
{{- end }}
{{- if eq 1 (len (uniq (include "s2s-bridge.userSync.paths" $ | fromJson).paths)) }}
{{ $at }}.opt_out_path: is {{ $at }}.path too; write another
{{- end }}
{{- $cookie := .cookie | default dict }}
{{- if hasPrefix "__Host-" ($cookie.name | default "") }}
{{- if $cookie.domain }}
{{ $at }}.cookie.domain: is for a cookie without __Host-; remove it, or rename
{{- end }}
{{- if ne ($cookie.path | default "/") "/" }}
{{ $at }}.cookie.path: must be / for a cookie with __Host-; change it, or rename
{{- end }}
{{- end }}
{{- end }}
{{- if .Values.userSync.enabled }}
{{- if not .Values.config.user_sync }}
config.user_sync: missing; userSync.enabled needs it, with its namespace at least (README.md, User sync)
{{- end }}
{{- include "s2s-bridge.faults.userSyncCluster" . }}
{{- end }}
{{- end -}}

{{- define "s2s-bridge.faults.userSyncCluster" -}}
{{- $sync := .Values.userSync }}
{{- $account := include "s2s-bridge.userSync.serviceAccountName" . }}
{{- if and $sync.serviceAccount.create (eq $account (include "s2s-bridge.serviceAccountName" .)) }}
userSync.serviceAccount.name: {{ $account }} is the bridge's too, whose roles are not for pods that strangers meet; write another
{{- end }}
{{- include "s2s-bridge.faults.variables" (dict "at" "userSync.extraEnv" "env" $sync.extraEnv "configuration" (include "s2s-bridge.userSync.configuration" .)) }}
{{- if eq (int $sync.port) (int $sync.statusPort) }}
userSync.statusPort: is userSync.port too; health and metrics are not for browsers: write another
{{- end }}
{{- if and $sync.autoscaling.enabled (gt (int $sync.autoscaling.minReplicas) (int $sync.autoscaling.maxReplicas)) }}
userSync.autoscaling.maxReplicas: {{ $sync.autoscaling.maxReplicas }} is less than minReplicas ({{ $sync.autoscaling.minReplicas }}); raise it
{{- end }}
{{- if and $sync.autoscaling.enabled (not ($sync.resources.requests | default dict).cpu) }}
userSync.resources.requests.cpu: missing; the autoscaler goes by it: write it, or switch userSync.autoscaling off
{{- end }}
{{- if $sync.ingress.enabled }}
{{- if not $sync.ingress.hosts }}
userSync.ingress.hosts: missing; write the endpoint's names, for which the certificate is, as in [sync.partner.com]
{{- end }}
{{- with ((.Values.config.user_sync | default dict).cookie | default dict).domain }}
{{- $domain := . }}
{{- range $sync.ingress.hosts }}
{{- if not (hasSuffix (printf ".%s" (lower $domain)) (printf ".%s" .)) }}
userSync.ingress.hosts: {{ . }} is not in config.user_sync.cookie.domain ({{ $domain }}), and browsers would refuse its cookie; correct one of the two
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}
