# helm kubectl
# Install or upgrade in one, and roll back.
cp -r "$SESSIONS/web" web
helm upgrade --install web ./web --set replicas=0
helm upgrade --install web ./web --set replicas=0 --set tag=2
helm rollback web 1
helm history web
kubectl get configmap web -o jsonpath='{.data.tag}'
helm uninstall web
helm list --all
