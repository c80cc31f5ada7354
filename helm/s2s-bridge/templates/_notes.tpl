{{/* What helm says after an installation. */}}
{{- define "s2s-bridge.notes" -}}
{{ .Chart.Name }} {{ .Values.image.tag | default .Chart.AppVersion }}: {{ len .Values.clients }} client(s), {{ len .Values.accounts }} account(s).
{{- $pod := printf "%s-0" (include "s2s-bridge.fullname" .) }}

Is all it needs within reach (Kafka, topics, registry, log-ins, host keys)?
  helm test {{ .Release.Name }} --namespace {{ .Release.Namespace }} --logs

What it does, and what waits:
  kubectl --namespace {{ .Release.Namespace }} exec {{ $pod }} -- s2s-bridge status --config /etc/s2s-bridge/bridge.yaml
  kubectl --namespace {{ .Release.Namespace }} port-forward {{ $pod }} {{ int .Values.http.port }}    # then http://127.0.0.1:{{ int .Values.http.port }}/

Secrets that must be there, with these keys:
{{- range (include "s2s-bridge.secretFiles" . | fromJson).files }}
  {{ .existingSecret }}: {{ .key }}
{{- end }}
{{- if .Values.userSync.enabled }}
{{- $topic := .Values.config.user_sync.topic | default "user-sync" }}

The user sync's endpoint does not get ready before Kafka has the compacted topic {{ $topic }} (README.md, User sync):
  kubectl --namespace {{ .Release.Namespace }} rollout status deployment {{ include "s2s-bridge.fullname" . }}-sync
{{- if and .Values.userSync.ingress.enabled (not .Values.userSync.ingress.tls.enabled) }}

WARNING: userSync.ingress.tls.enabled is off: where nothing before the ingress speaks TLS, browsers keep no cookie, and
nobody is synced.
{{- end }}
{{- end }}
{{- $identify := false }}
{{- range (include "s2s-bridge.streams" . | fromJson).streams }}{{ if .identify }}{{ $identify = true }}{{ end }}{{ end }}
{{- if $identify }}
{{- $left := sub (include "s2s-bridge.bytes" .Values.persistence.size | int64) (include "s2s-bridge.spoolBytes" . | int64) }}

The identity table takes up to 65 bytes a mapping of the volume: beside config.spool.max_bytes and a fifth,
persistence.size has room for {{ div $left 65000000 }} million mappings.
{{- end }}
{{- if .Values.adopt }}

WARNING: adopt is on: each start takes over what it finds. Upgrade without it as soon as the bridge is ready.
{{- end }}
{{- if .Values.replay.enabled }}

WARNING: replay.enabled is on in the release: an upgrade after the Job is gone replays again, and one that changes the
Job fails. Take it out, and render the Job alone (README.md, Replays).
{{- end }}
{{- if and .Values.resources.limits (hasKey .Values.resources.limits "memory") }}
{{- $limit := include "s2s-bridge.bytes" (toString .Values.resources.limits.memory) | int64 }}
{{- $needed := add 400000000 (include "s2s-bridge.bytes" (.Values.config.window.max_bytes | default "256MB") | int64 | mul 2) }}
{{- if lt $limit $needed }}

WARNING: resources.limits.memory ({{ .Values.resources.limits.memory }}) leaves little room beside config.window.max_bytes ({{ .Values.config.window.max_bytes }}): out of memory
the bridge is killed, and reads its window again. Give it {{ div $needed 1000000 }}M.
{{- end }}
{{- end }}
{{- end -}}
