{{- define "vigie.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "vigie.fullname" -}}
{{- $name := include "vigie.name" . -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "vigie.deployment" -}}
{{- default (include "vigie.fullname" .) .Values.deployment.name -}}
{{- end -}}

{{- define "vigie.serviceaccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "vigie.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "vigie.clusterrole" -}}
{{- default (include "vigie.fullname" .) .Values.clusterRole.nameOverride -}}
{{- end -}}

{{- define "vigie.k8sapp" -}}
{{- default .Chart.Name .Values.k8sAppLabelOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* Labels by which Pods are found. A release of the coredns chart selects by three. */}}
{{- define "vigie.selector" -}}
{{- if .Values.deployment.selector -}}
{{ toYaml .Values.deployment.selector }}
{{- else if and .Values.isClusterService .Values.fullnameOverride -}}
k8s-app: {{ include "vigie.k8sapp" . }}
{{- else -}}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/name: {{ include "vigie.name" . }}
{{- if .Values.isClusterService }}
k8s-app: {{ include "vigie.k8sapp" . }}
{{- end }}
{{- end -}}
{{- end -}}

{{- define "vigie.labels" -}}
app.kubernetes.io/name: {{ include "vigie.name" . }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service | quote }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | quote }}
{{- if .Values.isClusterService }}
k8s-app: {{ include "vigie.k8sapp" . }}
kubernetes.io/cluster-service: "true"
kubernetes.io/name: CoreDNS
{{- end }}
{{- with .Values.customLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Annotations: those of all objects and those of one, which are given as (list $ ANNOTATIONS). */}}
{{- define "vigie.annotations" -}}
{{- $all := merge (dict) (index . 1 | default dict) (index . 0).Values.customAnnotations -}}
{{- if $all }}
annotations:
{{ toYaml $all | indent 2 }}
{{- end }}
{{- end -}}

{{- define "vigie.corefile" -}}
{{- if .Values.corefile -}}
{{ .Values.corefile }}
{{- else -}}
{{- range $name, $conf := .Values.extraConfig }}
{{- printf "%s %s\n" $name ($conf.parameters | default "") }}
{{- end }}
{{- range .Values.servers }}
{{- $port := .port }}
{{- range $index, $zone := (.zones | default (list (dict "zone" "."))) }}
{{- if $index }} {{ end }}{{ $zone.scheme | default "" }}{{ $zone.zone | default "." }}{{ if $port }}:{{ $port }}{{ end }}
{{- end }} {
{{- range .plugins }}
    {{ .name }}{{ with .parameters }} {{ . }}{{ end }}{{ with .configBlock }} {
{{ . | trim | indent 8 }}
    }{{ end }}
{{- end }}
}
{{ end }}
{{- end -}}
{{- end -}}

{{/* The ports of the server blocks as JSON: {PORT: {udp, tcp, servicePort, nodePort, hostPort, plain}}. */}}
{{- define "vigie.ports" -}}
{{- $ports := dict -}}
{{- range .Values.servers -}}
{{- $port := .port | default 53 | toString -}}
{{- $entry := get $ports $port | default (dict "udp" false "tcp" false) -}}
{{- range (.zones | default (list (dict))) -}}
{{- if eq (.scheme | default "dns://") "dns://" -}}
{{- $_ := set $entry "udp" true -}}
{{- $_ := set $entry "tcp" true -}}
{{- else -}}
{{- $_ := set $entry "tcp" true -}}
{{- end -}}
{{- end -}}
{{- $_ := set $entry "servicePort" (.servicePort | default .port | default 53 | int) -}}
{{- with .nodePort }}{{ $_ := set $entry "nodePort" (int .) }}{{ end -}}
{{- with .hostPort }}{{ $_ := set $entry "hostPort" (int .) }}{{ end -}}
{{- $_ := set $ports $port $entry -}}
{{- end -}}
{{- toJson $ports -}}
{{- end -}}

{{/* The name of a port: those of the cluster's DNS are what others look for. */}}
{{- define "vigie.portname" -}}
{{- $port := index . 0 -}}
{{- $protocol := index . 1 -}}
{{- if eq $port "53" -}}
{{- eq $protocol "udp" | ternary "dns" "dns-tcp" -}}
{{- else -}}
{{- printf "%s-%s" $protocol $port -}}
{{- end -}}
{{- end -}}
