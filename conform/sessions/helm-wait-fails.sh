# helm nodes
# A release that does not become ready in time.
cp -r "$SESSIONS/web" web
sed -i 's/containers:/nodeSelector: {never: there}, containers:/' web/templates/all.yaml
helm install web ./web --wait --timeout 3s || true
helm status web || true
helm list --all
helm uninstall web
