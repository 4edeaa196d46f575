//! The width of the terminal that standard output is.

use std::io::IsTerminal as _;

use crate::base::limits::STATUS_WIDTH;

/// Characters in a line of standard output; `None` where it is no terminal, so that nothing is wrapped or cut in a pipe or a file.
pub(super) fn width() -> Option<usize> {
    let out = std::io::stdout();
    let columns = std::env::var("COLUMNS").ok();
    let window = || termsize::get().map(|size| usize::from(size.cols));
    out.is_terminal().then(|| width_of(columns.as_deref(), window))
}

/// The number in the variable `COLUMNS`, else that of the window; the usual width where neither is above 0.
fn width_of(columns: Option<&str>, window: impl Fn() -> Option<usize>) -> usize {
    let is_width = |width: &usize| *width > 0;
    let said = columns.and_then(|columns| columns.trim().parse().ok()).filter(is_width);
    said.or_else(|| window().filter(is_width)).unwrap_or(STATUS_WIDTH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_before_the_window_and_the_window_before_the_usual_width() {
        for (columns, window, expected) in [
            (Some("132"), Some(60), 132),
            (Some("0"), Some(60), 60),
            (Some("wide"), Some(60), 60),
            (None, Some(60), 60),
            (None, Some(0), STATUS_WIDTH),
            (None, None, STATUS_WIDTH),
        ] {
            assert_eq!(width_of(columns, || window), expected, "{columns:?} {window:?}");
        }
    }
}
