//! Reading the text form of label selectors, and refusing it in the real parser's words.
//!
//! The grammar and the sentences are those of `k8s.io/apimachinery/pkg/labels`: a selector is a list of
//! requirements, and in a list of values everything but `,`, `(` and `)` is a value.

use super::labels::Requirement;
use crate::admission::{label_key_error, label_value_error};
use crate::status::Status;

const OPERATORS: &str = "in, notin, =, ==, !=, gt, lt";

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    End,
    Word(String),
    Comma,
    Open,
    Close,
    Not,
    Operator(&'static str),
}

impl Token {
    /// As it stands in the text; nothing for the end.
    fn text(&self) -> &str {
        match self {
            Self::End => "",
            Self::Word(word) => word,
            Self::Comma => ",",
            Self::Open => "(",
            Self::Close => ")",
            Self::Not => "!",
            Self::Operator(operator) => operator,
        }
    }
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
}

/// Reads a selector.
pub(super) fn parse(text: &str) -> Result<Vec<Requirement>, Status> {
    let mut parser = Parser { tokens: tokens(text), at: 0 };
    parser.selector().map_err(Status::bad_request)
}

fn tokens(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start();
        let Some(first) = rest.chars().next() else { break };
        let single = match first {
            ',' => Some(Token::Comma),
            '(' => Some(Token::Open),
            ')' => Some(Token::Close),
            _ => None,
        };
        if let Some(token) = single {
            tokens.push(token);
            rest = &rest[1..];
            continue;
        }
        if let Some(operator) = ["!=", "==", "=", ">", "<"].into_iter().find(|op| rest.starts_with(op)) {
            tokens.push(Token::Operator(operator));
            rest = &rest[operator.len()..];
            continue;
        }
        if first == '!' {
            tokens.push(Token::Not);
            rest = &rest[1..];
            continue;
        }
        let special = |c: char| c.is_whitespace() || matches!(c, ',' | '(' | ')' | '=' | '!' | '<' | '>');
        let end = rest.find(special).unwrap_or(rest.len());
        tokens.push(Token::Word(rest[..end].to_owned()));
        rest = &rest[end..];
    }
    tokens
}

type Outcome<T> = Result<T, String>;

impl Parser {
    fn peek(&self) -> Token {
        self.tokens.get(self.at).cloned().unwrap_or(Token::End)
    }

    fn take(&mut self) -> Token {
        let token = self.peek();
        self.at += 1;
        token
    }

    fn selector(&mut self) -> Outcome<Vec<Requirement>> {
        let mut requirements = Vec::new();
        loop {
            match self.peek() {
                Token::Word(_) | Token::Not => {
                    let one =
                        self.requirement().map_err(|why| format!("unable to parse requirement: {why}"))?;
                    requirements.push(one);
                }
                Token::End => return Ok(requirements),
                other => {
                    let found = other.text();
                    return Err(format!("found '{found}', expected: !, identifier, or 'end of string'"));
                }
            }
            match self.take() {
                Token::End => return Ok(requirements),
                Token::Comma => match self.peek() {
                    Token::Word(_) | Token::Not => {}
                    other => return Err(format!("found '{}', expected: identifier after ','", other.text())),
                },
                other => return Err(format!("found '{}', expected: ',' or 'end of string'", other.text())),
            }
        }
    }

    fn requirement(&mut self) -> Outcome<Requirement> {
        let mut token = self.take();
        let negated = token == Token::Not;
        if negated {
            token = self.take();
        }
        let Token::Word(key) = token else {
            return Err(format!("found '{}', expected: identifier", token.text()));
        };
        if let Some(why) = label_key_error(&key) {
            return Err(format!("<nil>: Invalid value: \"{key}\": {why}"));
        }
        if negated {
            return Ok(Requirement::Missing(key));
        }
        if matches!(self.peek(), Token::End | Token::Comma) {
            return Ok(Requirement::Exists(key));
        }
        let operator = self.take();
        let operator = match &operator {
            Token::Operator(operator) => *operator,
            Token::Word(word) if word == "in" => "in",
            Token::Word(word) if word == "notin" => "notin",
            other => return Err(format!("found '{}', expected: {OPERATORS}", other.text())),
        };
        let values = match operator {
            "in" | "notin" => self.values()?,
            _ => vec![self.exact_value()?],
        };
        let number = |values: &[String]| -> Outcome<i64> {
            let value = values.first().map(String::as_str).unwrap_or_default();
            value.parse().map_err(|_| {
                format!("values[0]: Invalid value: \"{value}\": for 'Gt', 'Lt' operators, the value must be an integer")
            })
        };
        for (index, value) in values.iter().enumerate() {
            if let Some(why) = label_value_error(value) {
                return Err(format!("values[{index}][{key}]: Invalid value: \"{value}\": {why}"));
            }
        }
        Ok(match operator {
            "in" | "=" | "==" => Requirement::In(key, values),
            "notin" | "!=" => Requirement::NotIn(key, values),
            ">" => Requirement::Greater(key, number(&values)?),
            _ => Requirement::Less(key, number(&values)?),
        })
    }

    fn values(&mut self) -> Outcome<Vec<String>> {
        let open = self.take();
        if open != Token::Open {
            return Err(format!("found '{}' expected: '('", open.text()));
        }
        match self.peek() {
            Token::Close => {
                self.take();
                return Ok(vec![String::new()]);
            }
            Token::Word(_) | Token::Comma => {}
            other => return Err(format!("found '{}', expected: ',', ')' or identifier", other.text())),
        }
        let mut values = Vec::new();
        loop {
            match self.take() {
                Token::Word(word) => {
                    values.push(word);
                    match self.peek() {
                        Token::Comma => {}
                        Token::Close => break,
                        other => return Err(format!("found '{}', expected: ',' or ')'", other.text())),
                    }
                }
                Token::Comma => {
                    if values.is_empty() || matches!(self.peek(), Token::Comma | Token::Close) {
                        values.push(String::new());
                    }
                    if self.peek() == Token::Close {
                        break;
                    }
                }
                other => return Err(format!("found '{}', expected: ',', or identifier", other.text())),
            }
        }
        self.take();
        values.sort();
        values.dedup();
        Ok(values)
    }

    fn exact_value(&mut self) -> Outcome<String> {
        if matches!(self.peek(), Token::End | Token::Comma) {
            return Ok(String::new());
        }
        match self.take() {
            Token::Word(word) => Ok(word),
            other => Err(format!("found '{}', expected: identifier", other.text())),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::parse;

    #[test]
    fn what_is_no_selector_is_refused_in_the_parsers_words() {
        for (text, why) in [
            ("a in (b", "unable to parse requirement: found '', expected: ',' or ')'"),
            ("a in b", "unable to parse requirement: found 'b' expected: '('"),
            ("a b", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"),
            ("a,", "found '', expected: identifier after ','"),
            (",a", "found ',', expected: !, identifier, or 'end of string'"),
            ("!", "unable to parse requirement: found '', expected: identifier"),
            ("a=b=c", "found '=', expected: ',' or 'end of string'"),
        ] {
            assert_eq!(parse(text).unwrap_err().message, why, "{text}");
        }
    }
}
