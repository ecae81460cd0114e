# kubectl
# Mistakes that people make.
printf '%s\n' 'apiVersion: apps/v1' 'kind: Deployment' 'metadata: {name: web}' 'spec:' '  selector: {matchLabels: {app: web}}' '  template:' '    metadata: {labels: {app: other}}' '    spec: {containers: [{name: main, image: "web:1"}]}' > d.yaml
kubectl apply -f d.yaml || true
sed -i 's/app: other/app: web/; s/name: main/name: Main_/' d.yaml
kubectl apply -f d.yaml || true
sed -i 's/name: Main_/name: main/; s/apps\/v1/apps\/v9/' d.yaml
kubectl apply -f d.yaml || true
kubectl create configmap UPPER || true
kubectl create service clusterip 1web --tcp=80 || true
kubectl get nonsense || true
