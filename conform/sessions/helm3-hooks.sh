# helm3 kubectl
# A dry run, a template, and a chart with a hook.
mkdir -p web/templates
printf '%s\n' 'apiVersion: v2' 'name: web' 'version: 1.0.0' > web/Chart.yaml
printf '%s\n' 'replicas: 1' 'tag: "1"' > web/values.yaml
cat > web/templates/all.yaml <<'Y'
apiVersion: apps/v1
kind: Deployment
metadata: {name: "{{ .Release.Name }}"}
spec:
  replicas: {{ .Values.replicas }}
  selector: {matchLabels: {app: "{{ .Release.Name }}"}}
  template:
    metadata: {labels: {app: "{{ .Release.Name }}"}}
    spec: {containers: [{name: main, image: "web:{{ .Values.tag }}"}]}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: "{{ .Release.Name }}"}
data: {tag: "{{ .Values.tag }}"}
Y
cat > web/templates/hook.yaml <<'Y'
apiVersion: v1
kind: ConfigMap
metadata:
  name: "{{ .Release.Name }}-hook"
  annotations: {helm.sh/hook: pre-install, helm.sh/hook-delete-policy: before-hook-creation}
data: {a: b}
Y
helm template web ./web > /dev/null
helm install web ./web --set replicas=0 --dry-run=server > /dev/null
helm install web ./web --set replicas=0
kubectl get configmaps
helm uninstall web --keep-history
helm history web
