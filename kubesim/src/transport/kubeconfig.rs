//! Kubeconfigs as `aws eks update-kubeconfig` lays them out: context, cluster and user are the ARN.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

pub(super) enum Credential {
    Token(String),
    Certificate { certificate: String, key: String },
}

/// The YAML of a kubeconfig with one context.
pub(super) fn render(arn: &str, url: &str, ca_pem: &str, credential: &Credential) -> String {
    let ca = STANDARD.encode(ca_pem);
    let user = match credential {
        Credential::Token(token) => format!("    token: \"{token}\"\n"),
        Credential::Certificate { certificate, key } => format!(
            "    client-certificate-data: {}\n    client-key-data: {}\n",
            STANDARD.encode(certificate),
            STANDARD.encode(key)
        ),
    };
    format!(
        "apiVersion: v1\nkind: Config\nclusters:\n- name: \"{arn}\"\n  cluster:\n    server: \"{url}\"\n    \
         certificate-authority-data: {ca}\ncontexts:\n- name: \"{arn}\"\n  context:\n    cluster: \"{arn}\"\n    \
         user: \"{arn}\"\ncurrent-context: \"{arn}\"\npreferences: {{}}\nusers:\n- name: \"{arn}\"\n  user:\n{user}"
    )
}
