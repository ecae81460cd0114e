# kubectl
# A kind of one's own: defined, filled, wrong, and gone.
group="$NAMESPACE.example.com"
cat > crd.yaml <<Y
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.$group}
spec:
  group: $group
  scope: Namespaced
  names: {kind: Widget, plural: widgets, singular: widget, shortNames: [wd]}
  versions:
    - name: v1
      served: true
      storage: true
      subresources: {status: {}}
      additionalPrinterColumns: [{name: Size, type: integer, jsonPath: .spec.size}]
      schema:
        openAPIV3Schema:
          type: object
          properties:
            spec:
              type: object
              required: [size]
              properties: {size: {type: integer, minimum: 1}, color: {type: string, default: red}}
            status: {type: object, x-kubernetes-preserve-unknown-fields: true}
Y
kubectl apply -f crd.yaml
kubectl wait --for=condition=Established "crd/widgets.$group" --timeout=30s
printf '%s\n' "apiVersion: $group/v1" 'kind: Widget' 'metadata: {name: w}' 'spec: {size: 3}' > w.yaml
kubectl apply -f w.yaml
kubectl get "widgets.$group"
kubectl get "widgets.$group" w -o yaml
sed -i 's/size: 3/size: 0/' w.yaml
kubectl apply -f w.yaml || true
sed -i 's/size: 0/size: big/' w.yaml
kubectl apply -f w.yaml || true
kubectl patch "widgets.$group" w --type=merge -p '{"spec":{"size":5}}'
kubectl delete "widgets.$group" w
kubectl delete crd "widgets.$group"
