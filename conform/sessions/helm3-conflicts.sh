# helm3 kubectl
# What is there already, and what is not.
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
helm install web ./web --set replicas=0
helm install web ./web --set replicas=0 || true
helm upgrade other ./web || true
helm uninstall other || true
helm get values other || true
kubectl create configmap third --from-literal=a=1
helm install third ./web --set replicas=0 || true
