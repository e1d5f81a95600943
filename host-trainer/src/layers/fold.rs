//! What an activation normalization costs a device: nothing, where a neighbour can do its work.
//!
//! z = (x - mean) · scale behind another such layer is one such layer. A permutation in between only changes the order of
//! the means and the scales. So every standardization that stands, permutations aside, behind another one becomes part of
//! it: the same function, up to the rounding of the stored values.

use super::{Layer, Standardize, compose};
use crate::image::Image;

/// A layer with the image of its values.
pub type Piece = (Layer, Vec<u8>);

/// The pieces, data -> base, with every standardization folded that can be; as they were, if that makes a longer type,
/// because then it took from one of several equal layers what the others keep.
#[must_use]
pub fn fold(pieces: Vec<Piece>) -> Vec<Piece> {
    let mut folded = pieces.clone();
    for index in (1..pieces.len()).rev() {
        if let Some((at, piece)) = folded_at(&folded, index) {
            folded[at] = piece;
            folded.remove(index);
        }
    }
    if length(&folded) <= length(&pieces) { folded } else { pieces }
}

/// Letters of the type behind the first layer, which is no part of what repeats.
fn length(pieces: &[Piece]) -> usize {
    let behind: Vec<Layer> = pieces.iter().skip(1).map(|(layer, _)| layer.clone()).collect();
    if behind.is_empty() { 0 } else { compose(behind).rust_type().len() }
}

/// The piece that takes up the standardization at `index`, with its place before it.
fn folded_at(pieces: &[Piece], index: usize) -> Option<(usize, Piece)> {
    let mut units = Units::read(&pieces[index])?;
    for (at, piece) in pieces[..index].iter().enumerate().rev() {
        if let Some(first) = Units::read(piece) {
            return Some((at, (piece.0.clone(), first.then(&units).write()?)));
        }
        units = units.before(piece)?;
    }
    None
}

/// A change of units: subtracted, then multiplied.
#[derive(Debug)]
struct Units {
    mean: Vec<f64>,
    scale: Vec<f64>,
}

impl Units {
    /// Those of a standardization.
    fn read((layer, image): &Piece) -> Option<Self> {
        let Layer::Standardize(Standardize { features }) = layer else { return None };
        let mut values = words(image).map(|word| f64::from(f32::from_le_bytes(word)));
        let mean = values.by_ref().take(*features).collect();
        Some(Self { mean, scale: values.take(*features).collect() })
    }

    /// Its image, if the device accepts the values.
    fn write(&self) -> Option<Vec<u8>> {
        let single = |values: &[f64]| -> Vec<f32> { values.iter().map(|value| *value as f32).collect() };
        let (mean, scale) = (single(&self.mean), single(&self.scale));
        let accepted =
            mean.iter().chain(&scale).all(|value| value.is_finite()) && scale.iter().all(|scale| *scale > 0.0);
        let mut image = Image::default();
        Standardize::write(&mean, &scale, &mut image);
        accepted.then_some(image.0)
    }

    /// One after the other.
    fn then(&self, next: &Self) -> Self {
        let means = self.mean.iter().zip(&self.scale).zip(&next.mean);
        Self {
            mean: means.map(|((first, scale), second)| first + second / scale).collect(),
            scale: self.scale.iter().zip(&next.scale).map(|(first, second)| first * second).collect(),
        }
    }

    /// What does before a permutation what this does behind it.
    fn before(&self, (layer, image): &Piece) -> Option<Self> {
        let Layer::Permute(_) = layer else { return None };
        let mut moved = Self { mean: self.mean.clone(), scale: self.scale.clone() };
        for (coordinate, word) in words(image).enumerate() {
            let source = u32::from_le_bytes(word) as usize;
            *moved.mean.get_mut(source)? = *self.mean.get(coordinate)?;
            *moved.scale.get_mut(source)? = *self.scale.get(coordinate)?;
        }
        Some(moved)
    }
}

fn words(image: &[u8]) -> impl Iterator<Item = [u8; 4]> {
    image.chunks_exact(4).map(|word| word.try_into().expect("four bytes"))
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::super::{Cube, Permute, Trained, TrainedActNorm, TrainedPermute};
    use super::*;
    use crate::model::Body;
    use crate::model::architecture::{Elementary, NumberFormat};

    fn piece(layer: &dyn Trained, parameters: &[f32]) -> Piece {
        let mut image = Image::default();
        layer.write(parameters, None, &mut image);
        (layer.layer(NumberFormat::Float), image.0)
    }

    fn normalization(rng: &mut ChaCha8Rng) -> Piece {
        let parameters: Vec<f32> = (0..6).map(|_| rng.random_range(-1.0..1.0)).collect();
        piece(&TrainedActNorm { features: 3 }, &parameters)
    }

    fn permutation() -> Piece {
        piece(&TrainedPermute::new(vec![2, 0, 1]), &[])
    }

    fn cube() -> Piece {
        (Cube { elementary: Elementary::Libm }.into(), Vec::new())
    }

    fn evaluate(pieces: &[Piece], x: [f64; 3]) -> [f64; 4] {
        let (mut x, mut log_det) = (x, 0.0);
        for (layer, image) in pieces {
            let body = Body::new(image);
            log_det += layer.view(&mut body.as_bytes()).expect("an image").inverse_f64(&mut x, &[]);
        }
        [x[0], x[1], x[2], log_det]
    }

    fn check(pieces: Vec<Piece>, expected: &str) {
        let folded = fold(pieces.clone());
        let layers = folded.iter().map(|(layer, _)| layer.clone()).collect();
        assert_eq!(compose(layers).rust_type(), expected);
        for x in [[0.3, -1.5, 2.0], [-40.0, 0.01, 7.0]] {
            let (before, after) = (evaluate(&pieces, x), evaluate(&folded, x));
            for (before, after) in before.iter().zip(after) {
                assert!((before - after).abs() < 1e-5 * (1.0 + before.abs()), "{expected}: {before} became {after}");
            }
        }
    }

    #[test]
    fn standardizations_fold_into_those_before_them_and_past_permutations() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut a = || normalization(&mut rng);
        check(vec![a(), a()], "Standardize<3>");
        check(vec![a(), a(), permutation(), a(), cube()], "Chain<Standardize<3>, Chain<Permute<3>, Cube<Libm>>>");
        check(vec![a(), permutation(), permutation(), a()], "Chain<Standardize<3>, Chain<Permute<3>, Permute<3>>>");
    }

    #[test]
    fn what_stands_behind_other_layers_stays() {
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        let mut a = || normalization(&mut rng);
        check(vec![a(), cube(), a()], "Chain<Standardize<3>, Chain<Cube<Libm>, Standardize<3>>>");
        check(vec![permutation(), a()], "Chain<Permute<3>, Standardize<3>>");
        // One of three equal units would be another type than the others.
        let unit = |first: Piece, rest: [Piece; 2]| [vec![first], rest.to_vec()].concat();
        let units: Vec<Piece> = (0..3).flat_map(|_| unit(a(), [permutation(), cube()])).collect();
        let pieces = [vec![normalization(&mut ChaCha8Rng::seed_from_u64(3))], units].concat();
        assert_eq!(fold(pieces.clone()), pieces);
        let Layer::Permute(Permute { features: 3 }) = pieces[2].0 else { panic!("a permutation of three") };
    }
}
