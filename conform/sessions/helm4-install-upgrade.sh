# helm4 kubectl nodes
# Install and wait, look, upgrade, look again.
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
helm install web ./web --wait --timeout 60s
helm status web
helm list
helm get values web --all
helm get manifest web
helm upgrade web ./web --set tag=2 --wait --timeout 60s
helm history web
kubectl get deployment web -o jsonpath='{.spec.template.spec.containers[0].image}'
