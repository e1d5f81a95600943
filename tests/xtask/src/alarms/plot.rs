//! Pictures of lines over logarithmic axes: expected against realized rates, and delays over rates.

use std::error::Error;

use anyhow::{Result, anyhow};
use plotters::prelude::*;

/// Pixels of a panel.
const PANEL: (u32, u32) = (320, 280);

/// One panel: lines over logarithmic axes.
pub struct Panel {
    pub title: String,
    /// A name, and points, both coordinates above 0.
    pub lines: Vec<(String, Vec<(f64, f64)>)>,
    /// What chance leaves: a place on the first axis, lowest and highest value on the second.
    pub band: Vec<(f64, f64, f64)>,
    pub axes: [Axis; 2],
    /// Whether both coordinates ought to be the same.
    pub diagonal: bool,
}

/// A logarithmic axis.
#[derive(Clone, Copy)]
pub struct Axis {
    pub name: &'static str,
    /// Both above 0. What lies beyond is drawn at the end.
    pub range: (f64, f64),
    /// A value, as its label.
    pub show: fn(f64) -> String,
}

impl Panel {
    /// Realized rates over expected ones, without a band.
    pub fn rates(title: String, range: (f64, f64), lines: Vec<(String, Vec<(f64, f64)>)>) -> Self {
        let axis = |name| Axis { name, range, show: in_percent };
        Self { title, lines, band: Vec::new(), axes: [axis("expected"), axis("realized")], diagonal: true }
    }
}

/// A share, as a label of an axis.
pub fn in_percent(share: f64) -> String {
    format!("{} %", (1e6 * share).round() / 1e4)
}

/// The colours of lines, in their order.
const COLOURS: [RGBColor; 5] = [BLUE, RED, RGBColor(0, 130, 60), RGBColor(140, 80, 0), RGBColor(130, 0, 150)];

/// An SVG of panels side by side, `across` in a row.
pub fn svg(panels: &[Panel], across: usize) -> Result<String> {
    let mut picture = String::new();
    {
        let down = panels.len().div_ceil(across);
        let size = (PANEL.0 * across as u32, PANEL.1 * down as u32);
        let area = SVGBackend::with_string(&mut picture, size).into_drawing_area();
        area.fill(&WHITE).map_err(plain)?;
        for (area, panel) in area.split_evenly((down, across)).iter().zip(panels) {
            draw(area, panel).map_err(plain)?;
        }
        area.present().map_err(plain)?;
    }
    Ok(picture)
}

/// An error that says the same.
fn plain(error: impl Error) -> anyhow::Error {
    anyhow!("the picture: {error}")
}

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;
type DrawingError = DrawingAreaErrorKind<std::io::Error>;

fn draw(area: &Area<'_>, panel: &Panel) -> Result<(), DrawingError> {
    let [x, y] = panel.axes;
    let inside = |value: f64, (low, high): (f64, f64)| value.clamp(low, high);
    let mut chart = ChartBuilder::on(area)
        .margin(10)
        .caption(&panel.title, ("sans-serif", 14))
        .x_label_area_size(34)
        .y_label_area_size(52)
        .build_cartesian_2d((x.range.0..x.range.1).log_scale(), (y.range.0..y.range.1).log_scale())?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(BLACK.mix(0.08))
        .x_labels(4)
        .y_labels(4)
        .x_label_formatter(&|value| (x.show)(*value))
        .y_label_formatter(&|value| (y.show)(*value))
        .label_style(("sans-serif", 11))
        .x_desc(x.name)
        .y_desc(y.name)
        .draw()?;
    let upper = panel.band.iter().map(|(place, _, most)| (*place, inside(*most, y.range)));
    let lower = panel.band.iter().rev().map(|(place, least, _)| (*place, inside(*least, y.range)));
    chart.draw_series([Polygon::new(upper.chain(lower).collect::<Vec<_>>(), BLUE.mix(0.12))])?;
    if panel.diagonal {
        chart.draw_series(LineSeries::new([(x.range.0, y.range.0), (x.range.1, y.range.1)], BLACK.mix(0.4)))?;
    }
    for (number, (name, points)) in panel.lines.iter().enumerate() {
        let colour = COLOURS[number % COLOURS.len()];
        // The first line has larger points, so that those on top of them do not hide it.
        let size = if number == 0 { 3 } else { 2 };
        let points: Vec<_> = points.iter().map(|(a, b)| (inside(*a, x.range), inside(*b, y.range))).collect();
        chart.draw_series(LineSeries::new(points.iter().copied(), colour))?;
        let circles = points.iter().map(|point| Circle::new(*point, size, colour.filled()));
        chart.draw_series(circles)?.label(name).legend(move |(x, y)| Circle::new((x + 6, y), size, colour.filled()));
    }
    // Realized rates that rise with expected ones leave the lower right empty.
    let corner = if panel.diagonal { SeriesLabelPosition::LowerRight } else { SeriesLabelPosition::UpperRight };
    chart
        .configure_series_labels()
        .position(corner)
        .legend_area_size(14)
        .margin(4)
        .background_style(WHITE.mix(0.8))
        .label_font(("sans-serif", 11))
        .draw()
}
