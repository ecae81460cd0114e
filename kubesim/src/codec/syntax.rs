//! What is wrong with a JSON text, in the words of Go's decoder, which the real server passes on.

/// The first error; `None` when there is none.
pub(super) fn error(text: &[u8]) -> Option<String> {
    let mut scanner = Scanner { text, at: 0 };
    scanner.value().and_then(|()| scanner.end()).err()
}

const END: &str = "unexpected end of JSON input";

struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
}

impl Scanner<'_> {
    fn space(&mut self) {
        while self.text.get(self.at).is_some_and(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    /// The next byte that is no space, without taking it.
    fn peek(&mut self) -> Result<u8, String> {
        self.space();
        self.text.get(self.at).copied().ok_or_else(|| END.to_owned())
    }

    fn wrong<T>(&self, place: &str) -> Result<T, String> {
        let Some(byte) = self.text.get(self.at) else { return Err(END.to_owned()) };
        let shown = match byte {
            b'\'' => "'\\''".to_owned(),
            b'"' => "'\"'".to_owned(),
            byte if byte.is_ascii_graphic() || *byte == b' ' => format!("'{}'", char::from(*byte)),
            byte => format!("'\\u{byte:04x}'"),
        };
        Err(format!("invalid character {shown} {place}"))
    }

    fn end(&mut self) -> Result<(), String> {
        self.space();
        if self.at < self.text.len() { self.wrong("after top-level value") } else { Ok(()) }
    }

    fn value(&mut self) -> Result<(), String> {
        match self.peek()? {
            b'{' => self.object(),
            b'[' => self.list(),
            b'"' => self.string(),
            b't' => self.literal("true"),
            b'f' => self.literal("false"),
            b'n' => self.literal("null"),
            b'-' | b'0'..=b'9' => self.number(),
            _ => self.wrong("looking for beginning of value"),
        }
    }

    fn object(&mut self) -> Result<(), String> {
        self.at += 1;
        if self.peek()? == b'}' {
            self.at += 1;
            return Ok(());
        }
        loop {
            if self.peek()? != b'"' {
                return self.wrong("looking for beginning of object key string");
            }
            self.string()?;
            if self.peek()? != b':' {
                return self.wrong("after object key");
            }
            self.at += 1;
            self.value()?;
            match self.peek()? {
                b',' => self.at += 1,
                b'}' => break self.at += 1,
                _ => return self.wrong("after object key:value pair"),
            }
        }
        Ok(())
    }

    fn list(&mut self) -> Result<(), String> {
        self.at += 1;
        if self.peek()? == b']' {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.value()?;
            match self.peek()? {
                b',' => self.at += 1,
                b']' => break self.at += 1,
                _ => return self.wrong("after array element"),
            }
        }
        Ok(())
    }

    fn string(&mut self) -> Result<(), String> {
        self.at += 1;
        loop {
            match self.text.get(self.at) {
                None => return Err(END.to_owned()),
                Some(b'"') => break self.at += 1,
                Some(b'\\') => {
                    self.at += 1;
                    if !self.text.get(self.at).is_some_and(|byte| b"\"\\/bfnrtu".contains(byte)) {
                        return self.wrong("in string escape code");
                    }
                    self.at += 1;
                }
                Some(byte) if *byte < 0x20 => return self.wrong("in string literal"),
                Some(_) => self.at += 1,
            }
        }
        Ok(())
    }

    fn literal(&mut self, word: &str) -> Result<(), String> {
        for wanted in word.bytes() {
            if self.text.get(self.at) != Some(&wanted) {
                return self.wrong(&format!("in literal {word} (expecting '{}')", char::from(wanted)));
            }
            self.at += 1;
        }
        Ok(())
    }

    fn number(&mut self) -> Result<(), String> {
        if self.text[self.at] == b'-' {
            self.at += 1;
        }
        if !self.text.get(self.at).is_some_and(u8::is_ascii_digit) {
            return self.wrong("in numeric literal");
        }
        let part = |byte: &u8| byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E' | b'+' | b'-');
        while self.text.get(self.at).is_some_and(part) {
            self.at += 1;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::error;

    #[test]
    fn errors_are_told_in_the_words_of_go() {
        for (text, words) in [
            ("{}", None),
            (r#" {"a": [1, -2.5e3, "x\n", true, null]} "#, None),
            ("{broken", Some("invalid character 'b' looking for beginning of object key string")),
            ("", Some("unexpected end of JSON input")),
            (r#"{"a" 1}"#, Some("invalid character '1' after object key")),
            (r#"{"a": 1 "b"}"#, Some("invalid character '\"' after object key:value pair")),
            ("[1 2]", Some("invalid character '2' after array element")),
            ("{} x", Some("invalid character 'x' after top-level value")),
            ("tru", Some("unexpected end of JSON input")),
            ("trux", Some("invalid character 'x' in literal true (expecting 'e')")),
            ("-x", Some("invalid character 'x' in numeric literal")),
        ] {
            assert_eq!(error(text.as_bytes()).as_deref(), words, "{text}");
        }
    }
}
