# kubectl
# A claim that waits for a volume.
printf '%s\n' 'apiVersion: v1' 'kind: PersistentVolumeClaim' 'metadata: {name: data}' 'spec: {accessModes: [ReadWriteOnce], storageClassName: none, resources: {requests: {storage: 1Gi}}}' > c.yaml
kubectl apply -f c.yaml
kubectl get pvc data
kubectl patch pvc data -p '{"spec":{"accessModes":["ReadWriteMany"]}}' || true
kubectl delete pvc data
