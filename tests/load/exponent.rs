//! The exponent of a growth: how much faster a figure grows than the number it belongs to.

/// The slope of the least-squares line through the logarithms of (number, figure): 1.0 where ten times the number makes ten times the
/// figure, 2.0 where it makes a hundred times. Points without a logarithm are left out; `None` where less than two different numbers
/// are left.
pub fn exponent(points: &[(f64, f64)]) -> Option<f64> {
    let logs: Vec<(f64, f64)> = points
        .iter()
        .filter(|(n, figure)| *n > 0.0 && *figure > 0.0)
        .map(|(n, figure)| (n.ln(), figure.ln()))
        .collect();
    let count = logs.len() as f64;
    let mean_x = logs.iter().map(|(x, _)| x).sum::<f64>() / count;
    let mean_y = logs.iter().map(|(_, y)| y).sum::<f64>() / count;
    let spread: f64 = logs.iter().map(|(x, _)| (x - mean_x).powi(2)).sum();
    let together: f64 = logs.iter().map(|(x, y)| (x - mean_x) * (y - mean_y)).sum();
    (spread > 0.0).then(|| together / spread)
}
