{{/* The chart's name, as it stands in labels. */}}
{{- define "s2s-bridge.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/*
The name of all that the chart makes. 40 characters: StatefulSets, Jobs and CronJobs put more behind it, in names
and labels of at most 63 (52 for a CronJob). A release's name may have dots, that of a Service may not.
*/}}
{{- define "s2s-bridge.fullname" -}}
{{- $name := include "s2s-bridge.name" . -}}
{{- $full := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) -}}
{{- .Values.fullnameOverride | default $full | replace "." "-" | trunc 40 | trimAll "-" -}}
{{- end -}}

{{- define "s2s-bridge.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "s2s-bridge.selectorLabels" . }}
app.kubernetes.io/version: {{ .Values.image.tag | default .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{/* What all pods of a release have, those of its jobs and of the user sync too; app.kubernetes.io/component tells them apart. */}}
{{- define "s2s-bridge.selectorLabels" -}}
app.kubernetes.io/name: {{ include "s2s-bridge.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/* The long-running pod alone: of the StatefulSet, its Service, and those who must be beside it. */}}
{{- define "s2s-bridge.bridgeLabels" -}}
{{ include "s2s-bridge.selectorLabels" . }}
app.kubernetes.io/component: bridge
{{- end -}}

{{/* The user sync's pods alone. */}}
{{- define "s2s-bridge.syncLabels" -}}
{{ include "s2s-bridge.selectorLabels" . }}
app.kubernetes.io/component: sync
{{- end -}}

{{- define "s2s-bridge.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "s2s-bridge.fullname" .) -}}
{{- else -}}
{{- .Values.serviceAccount.name | default "default" -}}
{{- end -}}
{{- end -}}

{{- define "s2s-bridge.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}
