# helm kubectl
# What is there already, and what is not.
cp -r "$SESSIONS/web" web
helm install web ./web --set replicas=0
helm install web ./web --set replicas=0 || true
helm upgrade other ./web || true
helm uninstall other || true
helm get values other || true
kubectl create configmap third --from-literal=a=1
helm install third ./web --set replicas=0 || true
