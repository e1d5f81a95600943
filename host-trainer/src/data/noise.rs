use super::Matrix;

/// The quantization step of each column, in its unit; 0 for a column of continuous values.
///
/// A sensor with few bits, or a file with few decimals, repeats values. A density fitted on them as they are grows
/// without bound on the grid; uniform noise of one step, which training adds and scoring does not, makes it the density of the quantity behind them (Theis et
/// al., "A note on the evaluation of generative models", 2016, section 3.1).
///
/// A column counts as quantized if a tenth of its distinct values repeat. Its step is the lowest twentieth of the gaps
/// between neighbouring distinct values, each counted as often as the rarer of the two occurs: a few stray values
/// between the grid's do not pass for a finer grid, and a value far from the rest, such as a 0 while the machine idles,
/// does not pass for a coarser one.
pub fn quantization_steps(values: &Matrix) -> Vec<f32> {
    (0..values.columns()).map(|column| step(values.column(column).collect())).collect()
}

fn step(mut values: Vec<f32>) -> f32 {
    values.sort_unstable_by(f32::total_cmp);
    let largest = values.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
    // Decimal fractions are rounded to binary: equal steps differ by an ulp or two, and so do equal values that were
    // computed differently.
    let same = 4.0 * f32::EPSILON * largest;
    let runs: Vec<&[f32]> = values.chunk_by(|a, b| b - a <= same).collect();
    let repeated = runs.iter().filter(|run| run.len() > 1).count();
    if runs.len() < 2 || repeated * 10 < runs.len() {
        return 0.0;
    }
    let mut gaps: Vec<(f32, usize)> =
        runs.windows(2).map(|pair| (pair[1][0] - pair[0][0], pair[0].len().min(pair[1].len()))).collect();
    gaps.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let all_weights: usize = gaps.iter().map(|(_, weight)| weight).sum();
    let mut weights = 0;
    let lowest = gaps.iter().find(|(_, weight)| {
        weights += weight;
        weights * 20 >= all_weights
    });
    // Values at both ends of what a float holds are farther apart than it can.
    lowest.map_or(0.0, |(gap, _)| gap.min(f32::MAX))
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn normal_sum(rng: &mut ChaCha8Rng) -> f32 {
        (0..12).map(|_| rng.random::<f32>()).sum::<f32>() - 6.0
    }

    fn column(rows: usize, mut value: impl FnMut(&mut ChaCha8Rng) -> f32) -> Matrix {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        Matrix::new(rows, 1, (0..rows).map(|_| value(&mut rng)).collect())
    }

    fn step_of(matrix: &Matrix) -> f32 {
        quantization_steps(matrix)[0]
    }

    #[test]
    fn continuous_values_have_no_step() {
        assert_eq!(step_of(&column(5000, normal_sum)), 0.0);
        assert_eq!(step_of(&Matrix::new(1, 1, vec![3.0])), 0.0);
        assert_eq!(step_of(&Matrix::new(3, 1, vec![3.0; 3])), 0.0);
    }

    #[test]
    fn decimals_and_converters_give_their_step() {
        let decimals = column(5000, |rng| (40.0 + normal_sum(rng)).mul_add(100.0, 0.5).floor() / 100.0);
        assert!((step_of(&decimals) - 0.01).abs() < 1e-5, "{}", step_of(&decimals));
        let converter = column(2000, |rng| (normal_sum(rng) * 40.0).round() * 0.0488);
        assert!((step_of(&converter) - 0.0488).abs() < 1e-5, "{}", step_of(&converter));
        let flag = column(300, |rng| f32::from(u8::from(rng.random::<f32>() < 0.02)));
        assert_eq!(step_of(&flag), 1.0);
    }

    #[test]
    fn a_point_mass_is_not_a_grid() {
        let idling = column(4000, |rng| if rng.random::<f32>() < 0.4 { 0.0 } else { 68.0 + normal_sum(rng) });
        assert_eq!(step_of(&idling), 0.0);
        let and_decimals = column(4000, |rng| {
            if rng.random::<f32>() < 0.4 { 0.0 } else { ((68.0 + normal_sum(rng)) * 100.0).round() / 100.0 }
        });
        assert!((step_of(&and_decimals) - 0.01).abs() < 2e-5, "{}", step_of(&and_decimals));
    }

    #[test]
    fn stray_values_do_not_refine_the_grid() {
        let stray = column(4000, |rng| {
            let value = (normal_sum(rng) * 10.0).round();
            if rng.random::<f32>() < 0.0005 { value + 0.01 } else { value }
        });
        assert_eq!(step_of(&stray), 1.0);
    }
}
