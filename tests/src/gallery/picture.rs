//! A family's picture: data, density and samples, a column for each density.

use anyhow::Result;
use flowlet_trainer::model::Model;
use flowlet_trainer::train::Family;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::canvas::{Canvas, HEATS, POINT};
use super::table::name;
use super::{Purpose, Record, points};
use crate::densities::Density;

/// Pixels along a panel's sides.
const SIDE: u32 = 120;
/// Pixels between panels, their frames included.
const GAP: u32 = 6;
/// Pixels of a line of text.
const LINE: u32 = 12;
/// Pixels of the rows' names.
const NAMES: u32 = 56;
/// Points drawn in a panel.
const DRAWN: usize = 2000;

/// A column of a picture.
#[derive(Debug)]
pub struct Column<'a> {
    /// What was fitted.
    pub density: &'a Density,
    /// The fit; empty while there is none.
    pub fit: Option<(&'a Record, &'a Model)>,
}

/// The PNG file of a family.
///
/// # Errors
/// If it cannot be encoded.
pub fn picture(family: Family, columns: &[Column<'_>]) -> Result<Vec<u8>> {
    let samples = columns.iter().any(|column| column.fit.is_some_and(|(_, model)| model.scorer().samples()));
    let rows: &[&str] = if samples { &["data", "density", "samples"] } else { &["data", "density"] };
    let step = SIDE + GAP;
    let top = 3 * LINE + 4;
    let width = NAMES + step * columns.len() as u32 + GAP;
    let mut canvas = Canvas::new(width, top + step * rows.len() as u32 + GAP);
    let title = format!("{}: distance from each density in nats (f32, int8)", name(family));
    canvas.text(&title, GAP as i32, 2);
    for (index, row) in rows.iter().enumerate() {
        canvas.text(row, GAP as i32, (top + step * index as u32 + SIDE / 2) as i32);
    }
    for (index, column) in columns.iter().enumerate() {
        let left = (NAMES + step * index as u32) as i32;
        let middle = left + (SIDE / 2) as i32;
        canvas.centred(column.density.name, middle, (LINE + 2) as i32);
        let data = points(column.density, Purpose::Training, DRAWN);
        let window = Window { half_width: half_width(&data), left, top: top as i32 };
        window.dots(&mut canvas, &data);
        let Some((record, model)) = column.fit else { continue };
        let int8 = record.int8.map_or(String::new(), |int8| format!(", {:.3}", int8.nats));
        canvas.centred(&format!("{:.3}{int8}", record.float.nats), middle, (2 * LINE + 2) as i32);
        let scorer = model.scorer();
        let window = Window { top: window.top + step as i32, ..window };
        window.heat(&mut canvas, column.density, |x| scorer.log_prob(&x, &[]).map_or(0.0, |it| f64::from(it).exp()));
        if samples {
            let mut rng = ChaCha8Rng::seed_from_u64(1);
            let drawn: Vec<[f64; 2]> = (0..DRAWN)
                .map(|_| {
                    let sample = scorer.sample(&mut rng, &[]);
                    [0, 1].map(|axis: usize| f64::from(sample[axis]))
                })
                .collect();
            Window { top: window.top + step as i32, ..window }.dots(&mut canvas, &drawn);
        }
    }
    canvas.png()
}

/// Of a square around the origin that has nearly all points.
fn half_width(points: &[[f64; 2]]) -> f64 {
    let mut distances: Vec<f64> = points.iter().map(|[x, y]| x.abs().max(y.abs())).collect();
    distances.sort_by(f64::total_cmp);
    1.15 * distances[distances.len() * 199 / 200]
}

/// A panel onto the plane.
#[derive(Clone, Copy)]
struct Window {
    half_width: f64,
    left: i32,
    top: i32,
}

impl Window {
    fn dots(self, canvas: &mut Canvas, points: &[[f64; 2]]) {
        canvas.frame(self.left, self.top, SIDE);
        let scale = f64::from(SIDE) / (2.0 * self.half_width);
        for [x, y] in points {
            let (column, row) = (((x + self.half_width) * scale).floor(), ((self.half_width - y) * scale).floor());
            if [column, row].iter().all(|place| (0.0..f64::from(SIDE)).contains(place)) {
                canvas.set(self.left + column as i32, self.top + row as i32, POINT);
            }
        }
    }

    /// The square root of `probability`, which shows tails too, relative to the highest true density.
    fn heat(self, canvas: &mut Canvas, truth: &Density, probability: impl Fn([f32; 2]) -> f64) {
        canvas.frame(self.left, self.top, SIDE);
        let scale = 2.0 * self.half_width / f64::from(SIDE);
        let at = |column: u32, row: u32| {
            [f64::from(column) + 0.5, f64::from(SIDE) - f64::from(row) - 0.5].map(|it| it * scale - self.half_width)
        };
        let pixels = || (0..SIDE * SIDE).map(|pixel| (pixel % SIDE, pixel / SIDE));
        let highest = pixels().map(|(column, row)| truth.log_prob(at(column, row))).fold(f64::MIN, f64::max).exp();
        for (column, row) in pixels() {
            let share = (probability(at(column, row).map(|it| it as f32)) / highest).sqrt();
            let heat = (share * f64::from(HEATS)).floor().min(f64::from(HEATS - 1)) as u8;
            canvas.set(self.left + column as i32, self.top + row as i32, heat);
        }
    }
}
