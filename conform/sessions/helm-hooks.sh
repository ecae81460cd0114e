# helm kubectl
# A dry run, a template, and a chart with a hook.
cp -r "$SESSIONS/web" web
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
