# helm3 kubectl
# Install or upgrade in one, and roll back.
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
helm upgrade --install web ./web --set replicas=0
helm upgrade --install web ./web --set replicas=0 --set tag=2
helm rollback web 1
helm history web
kubectl get configmap web -o jsonpath='{.data.tag}'
helm uninstall web
helm list --all
