{{/* What all pods have in common, and what those of the bridge and of its jobs have. */}}

{{- define "s2s-bridge.podSettings" -}}
serviceAccountName: {{ include "s2s-bridge.serviceAccountName" . }}
{{ include "s2s-bridge.everyPod" . }}
{{- include "s2s-bridge.placement" .Values }}
{{- end -}}

{{- define "s2s-bridge.everyPod" -}}
automountServiceAccountToken: false
enableServiceLinks: false
terminationGracePeriodSeconds: {{ int .Values.terminationGracePeriodSeconds }}
securityContext: {{- toYaml .Values.podSecurityContext | nindent 2 }}
{{- with .Values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* On which nodes, of values that say it; a line each, each begun anew. */}}
{{- define "s2s-bridge.placement" -}}
{{- with .nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end -}}

{{/* The bridge's environment is not the user sync's, whose pods strangers meet. */}}
{{- define "s2s-bridge.containerSettings" -}}
{{ include "s2s-bridge.everyContainer" . }}
{{- with .Values.extraEnv }}
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* It ends with the environment, to which each adds its own. */}}
{{- define "s2s-bridge.everyContainer" -}}
image: {{ include "s2s-bridge.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext: {{- toYaml .Values.securityContext | nindent 2 }}
env:
  - {name: POLARS_MAX_THREADS, value: {{ int .Values.threads | quote }}}
{{- end -}}

{{- define "s2s-bridge.configurationMounts" -}}
- {name: configuration, mountPath: /etc/s2s-bridge, readOnly: true}
{{- if (include "s2s-bridge.secretFiles" . | fromJson).files }}
- {name: secrets, mountPath: {{ .Values.secretsMountPath }}, readOnly: true}
{{- end }}
- {name: tmp, mountPath: /tmp}
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* No file is mounted by subPath: so a changed secret reaches the running bridge, which reads it at each log-in. */}}
{{- define "s2s-bridge.configurationVolumes" -}}
- name: configuration
  configMap: {name: {{ include "s2s-bridge.fullname" . }}}
{{- include "s2s-bridge.secretsVolume" (include "s2s-bridge.secretFiles" . | fromJson) }}
- name: tmp
  emptyDir: {sizeLimit: 64Mi}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Of {"files": ...}; nothing where there are none. */}}
{{- define "s2s-bridge.secretsVolume" -}}
{{- with .files }}
- name: secrets
  projected:
    defaultMode: 0400 # kubelet adds the group of fsGroup
    sources:
      {{- range . }}
      - secret:
          name: {{ .existingSecret }}
          items: [{key: {{ .key | quote }}, path: {{ .path | quote }}}]
      {{- end }}
{{- end }}
{{- end -}}

{{/*
The affinity of the bridge's pod: rather on the node where a replay of its release runs. The volume is attached to one
node; elsewhere the bridge would wait for the end of the replay.
*/}}
{{- define "s2s-bridge.besideJobs" -}}
{{- $affinity := deepCopy .Values.affinity -}}
{{- $jobs := dict "key" "app.kubernetes.io/component" "operator" "In" "values" (list "replay" "refresh") -}}
{{- $selector := dict "matchLabels" (include "s2s-bridge.selectorLabels" . | fromYaml) "matchExpressions" (list $jobs) -}}
{{- $term := dict "weight" 100 "podAffinityTerm" (dict "topologyKey" "kubernetes.io/hostname" "labelSelector" $selector) -}}
{{- $pods := get $affinity "podAffinity" | default dict -}}
{{- $preferred := append (get $pods "preferredDuringSchedulingIgnoredDuringExecution" | default list) $term -}}
{{- $_ := set $affinity "podAffinity" (merge (dict "preferredDuringSchedulingIgnoredDuringExecution" $preferred) $pods) -}}
{{- toYaml $affinity -}}
{{- end -}}

{{/* A Job's pod on the bridge's volume: (dict "root" . "component" "replay" "args" (list ...) "env" (list ...)). */}}
{{- define "s2s-bridge.jobSpec" -}}
{{- $root := .root -}}
{{- $affinity := deepCopy $root.Values.affinity -}}
{{- $beside := dict "topologyKey" "kubernetes.io/hostname" "labelSelector" (dict "matchLabels" (include "s2s-bridge.bridgeLabels" $root | fromYaml)) -}}
{{- $pods := get $affinity "podAffinity" | default dict -}}
{{- $required := append (get $pods "requiredDuringSchedulingIgnoredDuringExecution" | default list) $beside -}}
{{- $_ := set $affinity "podAffinity" (merge (dict "requiredDuringSchedulingIgnoredDuringExecution" $required) $pods) -}}
backoffLimit: {{ int $root.Values.jobs.backoffLimit }}
ttlSecondsAfterFinished: {{ int $root.Values.jobs.ttlSecondsAfterFinished }}
# A drained node is no failure; wrong usage or configuration (exit 2) is no better at the next try.
podFailurePolicy:
  rules:
    - action: Ignore
      onPodConditions: [{type: DisruptionTarget, status: "True"}]
    - action: FailJob
      onExitCodes: {containerName: {{ .component }}, operator: In, values: [2]}
      onPodConditions: [] # the API of 1.27 asks for the key
template:
  metadata:
    labels:
      {{- include "s2s-bridge.selectorLabels" $root | nindent 6 }}
      app.kubernetes.io/component: {{ .component }}
      {{- with $root.Values.podLabels }}
      {{- toYaml . | nindent 6 }}
      {{- end }}
    {{- with $root.Values.podAnnotations }}
    annotations: {{- toYaml . | nindent 6 }}
    {{- end }}
  spec:
    restartPolicy: Never
    {{- include "s2s-bridge.podSettings" $root | nindent 4 }}
    affinity: {{- toYaml $affinity | nindent 6 }}
    containers:
      - name: {{ .component }}
        {{- include "s2s-bridge.containerSettings" $root | nindent 8 }}
          {{- with .env }}
          {{- toYaml . | nindent 10 }}
          {{- end }}
        args: {{- toYaml .args | nindent 10 }}
        resources: {{- toYaml $root.Values.jobs.resources | nindent 10 }}
        volumeMounts:
          - {name: data, mountPath: {{ $root.Values.persistence.mountPath }}}
          {{- include "s2s-bridge.configurationMounts" $root | nindent 10 }}
    volumes:
      - name: data
        persistentVolumeClaim: {claimName: data-{{ include "s2s-bridge.fullname" $root }}-0}
      {{- include "s2s-bridge.configurationVolumes" $root | nindent 6 }}
{{- end -}}
