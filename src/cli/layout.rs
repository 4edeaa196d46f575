//! Text in columns, for the usage.

/// The width of a line.
const WIDTH: usize = 120;

/// The column where explanations begin, from 0.
#[derive(Clone, Copy, Debug)]
pub(super) struct Column(pub(super) usize);

/// `head`, then `text` wrapped in its column. A head that leaves no room pushes the first line to the right by three spaces.
pub(super) fn row(head: &str, text: &str, Column(column): Column) -> String {
    let gap = if head.len() < column { " ".repeat(column - head.len()) } else { "   ".to_owned() };
    let mut line = if column == 0 { head.to_owned() } else { format!("{head}{gap}") };
    let mut out = String::new();
    for word in text.split(' ') {
        if line.trim_end().len() + 1 + word.len() > WIDTH {
            out += &format!("{}\n", line.trim_end());
            line = " ".repeat(column);
        }
        line += &format!("{word} ");
    }
    out + line.trim_end() + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_goes_on_in_its_column() {
        let long = ["word"; 30].join(" ");
        for (head, text, column, expected) in [
            ("  -a", "one two", 8, "  -a    one two\n".to_owned()),
            ("  -abcdef", "one two", 8, "  -abcdef   one two\n".to_owned()),
            ("", "one two", 0, "one two\n".to_owned()),
            ("-a", &long, 6, format!("-a    {}\n      {}\n", ["word"; 23].join(" "), ["word"; 7].join(" "))),
        ] {
            assert_eq!(row(head, text, Column(column)), expected, "{head}");
        }
    }
}
