{{/* An account's Audience Segments API with the paths of its files; takes {"settings", "folder"}. */}}
{{- define "s2s-bridge.audienceSegments" -}}
{{- $auth := omit .settings.auth "password" "client_secret" -}}
{{- range $secret := list "password" "client_secret" -}}
  {{- $_ := set $auth (printf "%s_file" $secret) (printf "%s/audience_segments_%s" $.folder $secret) -}}
{{- end -}}
{{- merge (dict "auth" $auth) (omit .settings "auth") | toJson -}}
{{- end -}}

{{/* Addresses that it asks, by their keys; takes its settings. */}}
{{- define "s2s-bridge.audienceSegments.urls" -}}
{{- $urls := dict "url" (.url | default "https:") -}}
{{- range $key := list "token_url" "session_url" -}}
  {{- $_ := set $urls (printf "auth.%s" $key) (index $.auth $key | default "https:") -}}
{{- end -}}
{{- $urls | toJson -}}
{{- end -}}

{{- define "s2s-bridge.faults.audienceSegments" -}}
{{- range $name, $account := .Values.accounts }}
{{- $at := printf "accounts.%s.platform.audience_segments" $name }}
{{- with ($account.platform | default dict).audience_segments }}
{{- $grant := .auth.grant | default "password" }}
{{- if and (eq $grant "password-realm") (not .auth.realm) }}
{{ $at }}.auth.realm: missing; grant password-realm needs it
{{- end }}
{{- if and (ne $grant "password-realm") .auth.realm }}
{{ $at }}.auth.realm: is for grant password-realm; write that, or remove it
{{- end }}
{{- if not .allow_plain_http }}
{{- range $key, $url := include "s2s-bridge.audienceSegments.urls" . | fromJson }}
{{- if and (hasPrefix "http://" $url) (not (regexMatch "^http://(localhost|127[.][0-9]{1,3}[.][0-9]{1,3}[.][0-9]{1,3}|[[]::1[]])(:|/|$)" $url)) }}
{{ $at }}.{{ $key }}: sends credentials over http:// to another machine; write https://, or set allow_plain_http
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}
