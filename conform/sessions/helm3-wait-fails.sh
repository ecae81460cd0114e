# helm3 nodes
# A release that does not become ready in time.
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
sed -i 's/containers:/nodeSelector: {never: there}, containers:/' web/templates/all.yaml
helm install web ./web --wait --timeout 3s || true
helm status web || true
helm list --all
helm uninstall web
