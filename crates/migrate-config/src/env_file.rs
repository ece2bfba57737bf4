//! Reads the text of a `.env` file, the way the users' files were read so far.
//!
//! The rules are those of python-dotenv, because a value must arrive unchanged: `$` is an ordinary
//! character (only `${NAME}` refers to a variable), an unquoted value keeps its blanks, quotes and
//! backslashes, and a quoted one may span lines. A reader with shell rules would cut a password like
//! `pa$word` short without a word. Nothing here sets or reads the environment of the process.

/// What a file says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct EnvText {
    /// Names and raw values in the order of the file.
    pub(crate) entries: Vec<Entry>,
    /// Lines, from 1, that are no `NAME=value` and were skipped. Their text may hold a secret.
    pub(crate) skipped: Vec<usize>,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) value: String,
    pub(crate) line: usize,
}

/// Reads all entries; a line that cannot be read is skipped and told.
pub(crate) fn parse(text: &str) -> EnvText {
    let mut result = EnvText::default();
    let mut rest = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut line = 1;
    loop {
        let start = rest.trim_start();
        line += newlines(rest, start);
        if start.is_empty() {
            return result;
        }
        rest = if let Some((binding, rest)) = binding(start) {
            result.entries.extend(binding.map(|(name, value)| Entry { name, value, line }));
            rest
        } else {
            result.skipped.push(line);
            split_line(start).1
        };
        line += newlines(start, rest);
    }
}

/// Counts the line ends between two suffixes of one text.
fn newlines(longer: &str, shorter: &str) -> usize {
    let read = longer.len().saturating_sub(shorter.len());
    longer.bytes().take(read).filter(|byte| *byte == b'\n').count()
}

fn split_line(text: &str) -> (&str, &str) {
    text.split_once('\n').unwrap_or((text, ""))
}

/// One entry, or `None` inside for a comment or a bare name, and the text after its line.
type Binding<'t> = (Option<(String, String)>, &'t str);

fn binding(text: &str) -> Option<Binding<'_>> {
    if text.starts_with('#') {
        return Some((None, split_line(text).1));
    }
    let text = match text.strip_prefix("export") {
        Some(rest) if rest.starts_with([' ', '\t']) => rest.trim_start_matches([' ', '\t']),
        _ => text,
    };
    let (name, rest) = name(text)?;
    let rest = rest.trim_start_matches([' ', '\t']);
    let Some(rest) = rest.strip_prefix('=') else {
        return Some((None, end_of_line(rest)?));
    };
    let has_blank = rest.starts_with([' ', '\t']);
    let rest = rest.trim_start_matches([' ', '\t']);
    if has_blank && rest.starts_with('#') {
        return Some((Some((name, String::new())), split_line(rest).1));
    }
    let (value, rest) = if let Some(quote @ ('\'' | '"')) = rest.chars().next() {
        let (value, rest) = quoted(rest.get(1..)?, quote)?;
        (value, end_of_line(rest)?)
    } else {
        let (value, rest) = split_line(rest);
        (unquoted(value).to_owned(), rest)
    };
    Some((Some((name, value)), rest))
}

fn name(text: &str) -> Option<(String, &str)> {
    if let Some(rest) = text.strip_prefix('\'') {
        let quoted = rest.split_once('\'').filter(|(name, _)| !name.is_empty());
        return quoted.map(|(name, rest)| (name.to_owned(), rest));
    }
    let end = text.find(|c: char| c == '=' || c == '#' || c.is_whitespace()).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    (!name.is_empty()).then(|| (name.to_owned(), rest))
}

/// Up to a `#` that follows a blank, without blanks at the end.
fn unquoted(value: &str) -> &str {
    let comment = value
        .char_indices()
        .zip(value.chars().skip(1))
        .find(|((_, c), next)| c.is_whitespace() && *next == '#');
    let end = comment.map_or(value.len(), |((index, _), _)| index);
    value.get(..end).unwrap_or(value).trim_end()
}

/// The value up to the closing quote. Double quotes know the escapes of C, single ones only `\\` and
/// `\'`; any other backslash stays.
fn quoted(text: &str, quote: char) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((index, c)) = chars.next() {
        if c == quote {
            return Some((value, text.get(index + 1..)?));
        }
        if c != '\\' {
            value.push(c);
            continue;
        }
        let (_, escaped) = chars.next()?;
        match unescape(escaped, quote) {
            Some(meant) => value.push(meant),
            None => value.extend(['\\', escaped]),
        }
    }
    None
}

fn unescape(c: char, quote: char) -> Option<char> {
    match (c, quote) {
        ('\\' | '\'', _) | ('"', '"') => Some(c),
        ('n', '"') => Some('\n'),
        ('r', '"') => Some('\r'),
        ('t', '"') => Some('\t'),
        ('a', '"') => Some('\u{7}'),
        ('b', '"') => Some('\u{8}'),
        ('f', '"') => Some('\u{c}'),
        ('v', '"') => Some('\u{b}'),
        _ => None,
    }
}

/// Only blanks and a comment may follow; gives the text after the line.
fn end_of_line(text: &str) -> Option<&str> {
    let (line, rest) = split_line(text);
    let line = line.trim();
    (line.is_empty() || line.starts_with('#')).then_some(rest)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entries(text: &str) -> Vec<(String, String)> {
        parse(text).entries.into_iter().map(|entry| (entry.name, entry.value)).collect()
    }

    fn value(text: &str) -> String {
        match entries(text).as_slice() {
            [(_, value)] => value.clone(),
            other => panic!("one entry expected in {text:?}, found {other:?}"),
        }
    }

    #[test]
    fn unquoted_values_arrive_as_they_are() {
        for (text, expected) in [
            ("A=pa$word1\n", "pa$word1"),
            ("A=two words", "two words"),
            ("A=C:\\keys\\new.p8\r\n", "C:\\keys\\new.p8"),
            ("A=it's", "it's"),
            ("A=a'b'c", "a'b'c"),
            ("A=2#d", "2#d"),
            ("A=1 # comment", "1"),
            ("  export A = 3  ", "3"),
            ("A=", ""),
            ("A= # comment", ""),
            ("A=#d", "#d"),
            ("A=é # x", "é"),
        ] {
            assert_eq!(value(text), expected, "{text:?}");
        }
    }

    #[test]
    fn quoted_values_span_lines_and_know_escapes() {
        for (text, expected) in [
            ("A=\"x\ny\"", "x\ny"),
            ("A=\"a\\tb\\\"\\q\"", "a\tb\"\\q"),
            ("A='a\\nb'", "a\\nb"),
            ("A='it\\'s'  # why", "it's"),
            ("A=\"q\"#c", "q"),
        ] {
            assert_eq!(value(text), expected, "{text:?}");
        }
    }

    #[test]
    fn lines_that_are_no_entries_are_skipped_and_told() {
        let parsed =
            parse("\u{feff}A=1\n# note\nset -a\nBARE\nB=\"x\ny\"\nC=\"z\" w\nD='open\nE=5");
        let names: Vec<_> = parsed.entries.iter().map(|e| (e.name.as_str(), e.line)).collect();
        assert_eq!(names, [("A", 1), ("B", 5), ("E", 9)]);
        assert_eq!(parsed.skipped, [3, 7, 8]);
    }

    #[test]
    fn an_empty_file_says_nothing() {
        assert_eq!(parse(""), EnvText::default());
        assert_eq!(parse("\n \n# x"), EnvText::default());
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(text in any::<String>()) {
            parse(&text);
        }

        #[test]
        fn double_quoted_values_survive(value in any::<String>()) {
            let escaped = value.replace('\\', "\\\\").replace('"', "\\\"");
            let expected = vec![("A".to_owned(), value)];
            prop_assert_eq!(entries(&format!("A=\"{escaped}\"\n")), expected);
        }
    }
}
