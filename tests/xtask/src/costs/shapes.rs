//! The shapes that are measured.

use flowlet_tests::costs::Shape;
use flowlet_trainer::train::Family;

/// Family, features, layers, hidden units, hidden layers, bins.
type Row = (Family, usize, usize, usize, usize, usize);

const FITTED: &[Row] = &[
    (Family::Realnvp, 8, 2, 16, 1, 8),
    (Family::Realnvp, 8, 6, 32, 2, 8),
    (Family::Realnvp, 3, 4, 8, 1, 8),
    (Family::Realnvp, 16, 4, 32, 2, 8),
    (Family::Realnvp, 12, 3, 16, 3, 8),
    (Family::Realnvp, 24, 6, 48, 1, 8),
    (Family::Realnvp, 5, 4, 24, 2, 8),
    (Family::Nice, 8, 4, 16, 1, 8),
    (Family::Nice, 8, 6, 32, 2, 8),
    (Family::Nice, 3, 2, 8, 1, 8),
    (Family::Nice, 16, 4, 40, 1, 8),
    (Family::Nice, 12, 2, 24, 3, 8),
    (Family::Spline, 8, 2, 16, 1, 4),
    (Family::Spline, 8, 6, 32, 2, 8),
    (Family::Spline, 3, 4, 24, 1, 8),
    (Family::Spline, 12, 3, 16, 2, 6),
    (Family::Maf, 8, 2, 16, 1, 8),
    (Family::Maf, 8, 5, 32, 2, 8),
    (Family::Maf, 3, 2, 8, 1, 8),
    (Family::Maf, 16, 3, 32, 2, 8),
    (Family::Maf, 12, 4, 24, 1, 8),
    (Family::MafSpline, 8, 3, 32, 2, 8),
    (Family::MafSpline, 3, 2, 16, 1, 4),
    (Family::MafSpline, 12, 2, 24, 1, 6),
    (Family::Planar, 8, 12, 32, 1, 8),
    (Family::Planar, 3, 4, 32, 1, 8),
    (Family::Planar, 16, 32, 32, 1, 8),
    (Family::Sylvester, 8, 4, 32, 1, 8),
    (Family::Sylvester, 3, 2, 32, 1, 8),
    (Family::Sylvester, 12, 8, 32, 1, 8),
];

/// Those that coefficients are fitted on.
pub fn fitted() -> Vec<Shape> {
    FITTED
        .iter()
        .map(|&(family, features, layers, hidden, hidden_layers, bins)| Shape {
            family,
            features,
            layers,
            hidden,
            hidden_layers,
            bins,
        })
        .collect()
}
