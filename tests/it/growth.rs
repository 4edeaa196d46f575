//! The exponent by which `tests/scale --growth` judges. Its programs are benches without a harness, so that it is tried here.

#[path = "../load/exponent.rs"]
mod exponent;

use exponent::exponent;

/// The figures that a function has at 100, 300, 1,000 and 3,000.
fn growth(of: impl Fn(f64) -> f64) -> Option<f64> {
    exponent(&[100.0, 300.0, 1_000.0, 3_000.0].map(|n| (n, of(n))))
}

#[test]
fn the_exponent_of_a_power_is_its_power_whatever_the_factor() {
    for power in [0.0, 0.5, 1.0, 1.1, 2.0, 3.0] {
        let found = growth(|n| 0.07 * n.powf(power)).unwrap();
        assert!((found - power).abs() < 1e-9, "{power}: {found}");
    }
}

#[test]
fn a_constant_part_lowers_the_exponent_and_a_logarithm_raises_it() {
    let with_start = growth(|n| 50.0 + n).unwrap();
    assert!((0.8..0.98).contains(&with_start), "{with_start}");
    let sorted = growth(|n| n * n.ln()).unwrap();
    assert!((1.1..1.25).contains(&sorted), "{sorted}");
}

#[test]
fn the_line_lies_between_points_that_are_not_on_one() {
    // By hand: (0, 0), (1, 2), (2, 2) in logarithms of 10; the slope is 2 / 2.
    let found = exponent(&[(1.0, 1.0), (10.0, 100.0), (100.0, 100.0)]).unwrap();
    assert!((found - 1.0).abs() < 1e-9, "{found}");
}

#[test]
fn points_without_a_logarithm_are_left_out_and_one_number_has_no_exponent() {
    assert_eq!(exponent(&[(0.0, 5.0), (10.0, 0.0), (10.0, 10.0), (100.0, 100.0)]), Some(1.0));
    for points in [&[][..], &[(10.0, 10.0)], &[(10.0, 10.0), (10.0, 20.0)], &[(10.0, 10.0), (20.0, 0.0)]] {
        assert_eq!(exponent(points), None, "{points:?}");
    }
}
