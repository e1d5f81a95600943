//! The front of nats against cost as a picture.

use std::error::Error;

use anyhow::{Result, anyhow};
use plotters::prelude::*;

use super::budget::Quantity;
use super::report::{Entry, Report, word};

/// Pixels of a panel.
const PANEL: (u32, u32) = (520, 400);

/// An SVG with a panel for each quantity of the budget: every shape that was fitted as a dot, the front as a line, the limit as
/// a dashed one, what was chosen as a ring.
///
/// # Errors
/// If the picture cannot be drawn.
pub fn svg(report: &Report) -> Result<String> {
    let mut picture = String::new();
    let quantities: Vec<Quantity> = report.budget.quantities().collect();
    {
        let size = (PANEL.0 * quantities.len() as u32, PANEL.1);
        let area = SVGBackend::with_string(&mut picture, size).into_drawing_area();
        area.fill(&WHITE).map_err(plain)?;
        for (panel, quantity) in area.split_evenly((1, quantities.len())).iter().zip(&quantities) {
            draw(panel, report, quantity).map_err(plain)?;
        }
        area.present().map_err(plain)?;
    }
    Ok(picture)
}

/// An error that says the same.
fn plain(error: impl Error) -> anyhow::Error {
    anyhow!("the picture of the search: {error}")
}

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;
type DrawingError = DrawingAreaErrorKind<std::io::Error>;

fn draw(area: &Area<'_>, report: &Report, quantity: &Quantity) -> Result<(), DrawingError> {
    let at = |entry: &Entry| ((quantity.spent)(&entry.cost) as f64, entry.nats);
    let (low, high) = report
        .front()
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), entry| (low.min(entry.nats), high.max(entry.nats)));
    // Room for the labels, and for a front of one.
    let margin = 0.1 * (high - low).max(0.1);
    let (bottom, top) = (low - margin, high + margin);
    // What is far below the front would press the front against the edge.
    let shown: Vec<&Entry> = report.trials.iter().filter(|entry| (bottom..=top).contains(&entry.nats)).collect();
    let limit = quantity.limit as f64;
    let mut chart = ChartBuilder::on(area)
        .margin(14)
        .x_label_area_size(42)
        .y_label_area_size(56)
        .build_cartesian_2d(0.0..1.06 * limit, bottom..top)?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(BLACK.mix(0.08))
        .x_labels(6)
        .x_label_formatter(&|value| format!("{value:.0}"))
        .label_style(("sans-serif", 12))
        .axis_desc_style(("sans-serif", 13))
        .x_desc(quantity.name)
        .y_desc("nats")
        .draw()?;
    chart.draw_series(DashedLineSeries::new([(limit, bottom), (limit, top)], 4, 4, RED.mix(0.6).into()))?;
    let mut front: Vec<&Entry> = report.front().collect();
    front.sort_by(|a, b| at(a).0.total_cmp(&at(b).0).then(b.nats.total_cmp(&a.nats)));
    // What is on the front for the sake of another quantity is no step of this one's.
    let mut most = f64::NEG_INFINITY;
    front.retain(|entry| {
        let better = entry.nats > most;
        most = most.max(entry.nats);
        better
    });
    chart.draw_series(LineSeries::new(front.iter().map(|entry| at(entry)), BLUE.mix(0.5)))?;
    chart.draw_series(shown.iter().map(|entry| {
        let colour = if entry.front { BLUE.to_rgba() } else { BLACK.mix(0.3) };
        Circle::new(at(entry), 3, colour.filled())
    }))?;
    chart.draw_series(shown.iter().filter(|entry| entry.chosen).map(|entry| Circle::new(at(entry), 7, RED)))?;
    // Beside the dot, on the side where there is room.
    chart.draw_series(front.iter().map(|entry| {
        let (x, _) = at(entry);
        let offset = if x > 0.7 * limit { -90 } else { 8 };
        let label = format!("{} x {}", entry.layers, word(entry.family));
        EmptyElement::at(at(entry)) + Text::new(label, (offset, -6), ("sans-serif", 12))
    }))?;
    Ok(())
}
