//! Text that fits a terminal.

/// Breaks a text between words so that no line is longer than `width`, but for words that are longer
/// themselves: addresses and names stay whole. Without a width there is one line.
pub(super) fn wrap(text: &str, width: Option<usize>) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let Some(line) = lines.last_mut() else { break };
        let length = line.chars().count() + 1 + word.chars().count();
        if line.is_empty() {
            line.push_str(word);
        } else if width.is_some_and(|width| length > width) {
            lines.push(word.to_owned());
        } else {
            line.push(' ');
            line.push_str(word);
        }
    }
    lines
}

/// The same, with a beginning on the first line and as much room before the others.
pub(super) fn hang(beginning: &str, text: &str, columns: Option<usize>) -> String {
    let indent = beginning.chars().count();
    // A terminal too narrow for the beginning is left to break lines as it likes.
    let width = columns.and_then(|columns| columns.checked_sub(indent)).filter(|width| *width >= 24);
    let mut hung = String::new();
    for (at, line) in wrap(text, width).iter().enumerate() {
        if at > 0 {
            hung.push('\n');
            hung.push_str(&" ".repeat(indent));
        } else {
            hung.push_str(beginning);
        }
        hung.push_str(line);
    }
    hung
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_broken_between_words_and_long_words_stay_whole() {
        assert_eq!(wrap("one two three", Some(7)), ["one two", "three"]);
        assert_eq!(wrap("a https://example.com/long b", Some(5)), ["a", "https://example.com/long", "b"]);
        assert_eq!(wrap("one two three", None), ["one two three"]);
        assert_eq!(wrap("", Some(5)), [""]);
    }

    #[test]
    fn what_hangs_is_indented_by_its_beginning() {
        let words = "words that are longer than what a line of this width takes";
        let hung = hang("• step ", words, Some(40));
        assert_eq!(hung, "• step words that are longer than what a\n       line of this width takes");
        assert!(hung.lines().all(|line| line.chars().count() <= 40));
        assert_eq!(hang("• step ", words, Some(20)).lines().count(), 1, "too narrow to bother");
    }
}
