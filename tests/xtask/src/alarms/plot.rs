//! Pictures of expected against realized rates.

use std::error::Error;

use anyhow::{Result, anyhow};
use plotters::prelude::*;

/// Pixels of a panel.
const PANEL: (u32, u32) = (300, 270);

/// One panel: lines of realized rates over expected ones, and the band that chance leaves.
pub struct Panel {
    pub title: String,
    /// A name, and points of expected and realized rate, both above 0.
    pub lines: Vec<(String, Vec<(f64, f64)>)>,
    /// Expected rate, lowest and highest realized one.
    pub band: Vec<(f64, f64, f64)>,
}

/// The colours of lines, in their order.
const COLOURS: [RGBColor; 4] = [BLUE, RED, RGBColor(0, 130, 60), RGBColor(140, 80, 0)];

/// An SVG of panels side by side, `across` in a row, both axes logarithmic within `range`.
pub fn svg(panels: &[Panel], across: usize, range: (f64, f64)) -> Result<String> {
    let mut picture = String::new();
    {
        let down = panels.len().div_ceil(across);
        let size = (PANEL.0 * across as u32, PANEL.1 * down as u32);
        let area = SVGBackend::with_string(&mut picture, size).into_drawing_area();
        area.fill(&WHITE).map_err(plain)?;
        for (area, panel) in area.split_evenly((down, across)).iter().zip(panels) {
            draw(area, panel, range).map_err(plain)?;
        }
        area.present().map_err(plain)?;
    }
    Ok(picture)
}

/// An error that says the same.
fn plain(error: impl Error) -> anyhow::Error {
    anyhow!("the picture of rates: {error}")
}

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;
type DrawingError = DrawingAreaErrorKind<std::io::Error>;

fn draw(area: &Area<'_>, panel: &Panel, (low, high): (f64, f64)) -> Result<(), DrawingError> {
    let inside = |rate: f64| rate.clamp(low, high);
    let mut chart = ChartBuilder::on(area)
        .margin(10)
        .caption(&panel.title, ("sans-serif", 14))
        .x_label_area_size(34)
        .y_label_area_size(48)
        .build_cartesian_2d((low..high).log_scale(), (low..high).log_scale())?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(BLACK.mix(0.08))
        .x_labels(4)
        .y_labels(4)
        .x_label_formatter(&|rate| format!("{} %", 100.0 * rate))
        .y_label_formatter(&|rate| format!("{} %", 100.0 * rate))
        .label_style(("sans-serif", 11))
        .x_desc("expected")
        .y_desc("realized")
        .draw()?;
    let upper = panel.band.iter().map(|(rate, _, most)| (*rate, inside(*most)));
    let lower = panel.band.iter().rev().map(|(rate, least, _)| (*rate, inside(*least)));
    chart.draw_series([Polygon::new(upper.chain(lower).collect::<Vec<_>>(), BLUE.mix(0.12))])?;
    chart.draw_series(LineSeries::new([(low, low), (high, high)], BLACK.mix(0.4)))?;
    for (number, (name, points)) in panel.lines.iter().enumerate() {
        let colour = COLOURS[number % COLOURS.len()];
        let points: Vec<_> = points.iter().map(|(rate, realized)| (*rate, inside(*realized))).collect();
        chart.draw_series(LineSeries::new(points.iter().copied(), colour))?;
        chart.draw_series(points.iter().map(|point| Circle::new(*point, 2, colour.filled())))?;
        area.draw(&Text::new(
            name.clone(),
            (66, 36 + 14 * number as i32),
            ("sans-serif", 12).into_font().color(&colour),
        ))?;
    }
    Ok(())
}
