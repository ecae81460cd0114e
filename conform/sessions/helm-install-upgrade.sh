# helm kubectl nodes
# Install and wait, look, upgrade, look again.
cp -r "$SESSIONS/web" web
helm install web ./web --wait --timeout 60s
helm status web
helm list
helm get values web --all
helm get manifest web
helm upgrade web ./web --set tag=2 --wait --timeout 60s
helm history web
kubectl get deployment web -o jsonpath='{.spec.template.spec.containers[0].image}'
