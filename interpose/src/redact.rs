//! Keeps secrets out of recordings.
//!
//! Three rules: words that the plan names; values of arguments and variables whose name says that
//! they are secret; and shapes that are secret wherever they stand (AWS keys, bearer tokens).

use std::collections::BTreeMap;

/// What stands where a secret was.
pub const MASK: &str = "[redacted]";

/// Variables that are worth recording; all others of the environment are left out.
const INTERESTING: &[&str] =
    &["KUBECONFIG", "KUBECACHEDIR", "CLUSTER_NAME", "SEATRIAL_PHASE", "SEATRIAL_TOOLS_DIR", "PATH", "HOME"];

/// First letters of families of variables that are worth recording.
const FAMILIES: &[&str] = &["AWS_", "HELM_", "EKSCTL_", "EKS_INSTALLER_"];

/// Parts of a name that make its value a secret.
const SECRET_NAMES: &[&str] =
    &["secret", "password", "passwd", "token", "credential", "private", "apikey", "api_key", "access_key"];

/// Replaces secrets in what a call was given and what it said.
#[derive(Debug, Clone, Default)]
pub struct Redactor {
    words: Vec<String>,
}

impl Redactor {
    /// A redactor for these words. Words shorter than four characters are left alone: they would
    /// blank out half of any text. Longer words go first, so that a word that contains another
    /// leaves no tail.
    pub fn new(words: &[String], env: &BTreeMap<String, String>) -> Self {
        let mut words: Vec<String> = words
            .iter()
            .cloned()
            .chain(env.iter().filter(|(name, _)| secret_name(name)).map(|(_, value)| value.clone()))
            .filter(|word| word.len() >= 4)
            .collect();
        words.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        words.dedup();
        Self { words }
    }

    /// A text without the secrets in it.
    pub fn text(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for word in &self.words {
            if text.contains(word.as_str()) {
                text = text.replace(word.as_str(), MASK);
            }
        }
        shapes(&text)
    }

    /// Arguments without the values of secret flags (`--password x`, `--set a.token=x`).
    pub fn argv(&self, argv: &[String]) -> Vec<String> {
        let mut masked = Vec::with_capacity(argv.len());
        let mut hide_next = false;
        for argument in argv {
            if hide_next {
                hide_next = false;
                masked.push(MASK.to_owned());
                continue;
            }
            let dashed = argument.starts_with('-');
            if dashed && !argument.contains('=') && secret_name(argument) && !argument.ends_with("-stdin") {
                hide_next = true;
            }
            masked.push(self.text(&assignments(argument)));
        }
        masked
    }

    /// The variables worth recording, their secret values replaced.
    pub fn env(&self, env: &BTreeMap<String, String>) -> BTreeMap<String, String> {
        env.iter()
            .filter(|(name, _)| {
                INTERESTING.contains(&name.as_str()) || FAMILIES.iter().any(|family| name.starts_with(family))
            })
            .map(|(name, value)| {
                let value = if secret_name(name) { MASK.to_owned() } else { self.text(value) };
                (name.clone(), value)
            })
            .collect()
    }
}

fn secret_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase().replace('-', "_");
    // Names of files and of kinds of token are no secrets.
    let harmless = name.ends_with("_file") || name.ends_with("_path") || name.ends_with("_duration");
    !harmless && SECRET_NAMES.iter().any(|part| name.contains(part))
}

/// `a=1,b.password=x` → `a=1,b.password=[redacted]`.
fn assignments(argument: &str) -> String {
    if !argument.contains('=') {
        return argument.to_owned();
    }
    argument
        .split(',')
        .map(|part| match part.rsplit_once('=') {
            Some((name, value)) if !value.is_empty() && secret_name(name) => {
                // `--set=db.password=x` has the name in the middle: all before the last `=` stays.
                format!("{name}={MASK}")
            }
            _ => part.to_owned(),
        })
        .collect::<Vec<_>>()
        .join(",")
}

/// AWS access key ids, and what follows `Bearer ` or `token: `.
fn shapes(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut word = String::new();
    let mut hide = false;
    let flush = |word: &mut String, hide: &mut bool, out: &mut String| {
        if word.is_empty() {
            return;
        }
        let key_id = word.len() == 20
            && (word.starts_with("AKIA") || word.starts_with("ASIA"))
            && word.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit());
        if key_id || *hide || word.starts_with("k8s-aws-v1.") {
            out.push_str(MASK);
        } else {
            out.push_str(word);
        }
        *hide = word.as_str() == "Bearer";
        word.clear();
    };
    for c in text.chars() {
        if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') {
            word.push(c);
        } else {
            flush(&mut word, &mut hide, &mut out);
            if c != ' ' {
                hide = false;
            }
            out.push(c);
        }
    }
    flush(&mut word, &mut hide, &mut out);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redactor() -> Redactor {
        let env = BTreeMap::from([("AWS_SECRET_ACCESS_KEY".to_owned(), "wJalrXUtnFEMI".to_owned())]);
        Redactor::new(&["hush-hush".into(), "hush".into(), "x".into()], &env)
    }

    #[test]
    fn words_of_the_plan_and_of_the_environment_are_replaced_everywhere() {
        assert_eq!(redactor().text("a hush-hush b, wJalrXUtnFEMI, x"), "a [redacted] b, [redacted], x");
    }

    #[test]
    fn arguments_that_name_a_secret_lose_their_value() {
        let argv: Vec<String> = [
            "registry",
            "login",
            "--password",
            "open",
            "--set",
            "a=1,db.password=open",
            "--set=api.token=z",
            "--password-stdin",
            "x",
        ]
        .iter()
        .map(|a| (*a).into())
        .collect();
        assert_eq!(
            redactor().argv(&argv),
            [
                "registry",
                "login",
                "--password",
                MASK,
                "--set",
                "a=1,db.password=[redacted]",
                "--set=api.token=[redacted]",
                "--password-stdin",
                "x"
            ]
        );
    }

    #[test]
    fn shapes_of_secrets_are_known_and_ordinary_words_stay() {
        assert_eq!(
            redactor().text("key AKIAIOSFODNN7EXAMPLE, Authorization: Bearer abc.def ok"),
            "key [redacted], Authorization: Bearer [redacted] ok"
        );
        assert_eq!(redactor().text("karpenter-1.8.3 AKIA"), "karpenter-1.8.3 AKIA");
    }

    #[test]
    fn only_the_interesting_variables_are_kept() {
        let env: BTreeMap<String, String> =
            [("AWS_REGION", "eu-central-1"), ("AWS_SESSION_TOKEN", "abcdefgh"), ("EDITOR", "vi")]
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                .collect();
        let kept = redactor().env(&env);
        assert_eq!(kept.get("AWS_REGION").map(String::as_str), Some("eu-central-1"));
        assert_eq!(kept.get("AWS_SESSION_TOKEN").map(String::as_str), Some(MASK));
        assert!(!kept.contains_key("EDITOR"));
    }
}
