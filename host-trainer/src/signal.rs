//! From a table of samples to a table of readings: windows and their features, by the core's kernels.

use clap::Args;
use flowlet::signal::{Cursor, Feature, Recipe, STATISTICS};

use crate::data::{DataError, Table};

/// How readings are made of samples.
#[derive(Args, Clone, Debug, Default)]
pub struct SignalArgs {
    /// Samples of a window: rows are samples of a signal, and readings are features of windows
    #[arg(long, value_name = "SAMPLES", requires = "features", help_heading = "Signal")]
    pub window: Option<usize>,
    /// Samples from one window to the next [default: a window]
    #[arg(long, value_name = "SAMPLES", requires = "window", help_heading = "Signal")]
    pub hop: Option<usize>,
    /// What is computed of each column in a window: mean, rms, deviation, peak-to-peak, crest, skewness, kurtosis, zero-crossings,
    /// slope, centroid, last, difference, smoothed, bands:N, lags:N; and correlations of all columns
    #[arg(
        long,
        value_name = "FEATURE,..",
        value_delimiter = ',',
        value_parser = requested,
        requires = "window",
        help_heading = "Signal"
    )]
    pub features: Vec<Requested>,
}

/// A word of `--features`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Requested {
    /// A statistic's bit.
    Statistic(u32),
    /// So many bands.
    Bands(usize),
    /// So many lags.
    Lags(usize),
    /// All correlations.
    Correlations,
}

fn requested(word: &str) -> Result<Requested, String> {
    let count = |count: &str| count.parse::<usize>().ok().filter(|count| *count > 0);
    if let Some((statistic, _)) = STATISTICS.iter().find(|(_, name)| *name == word) {
        return Ok(Requested::Statistic(statistic.bit()));
    }
    let known = match word.split_once(':') {
        Some(("bands", number)) => count(number).map(Requested::Bands),
        Some(("lags", number)) => count(number).map(Requested::Lags),
        None if word == "correlations" => Some(Requested::Correlations),
        _ => None,
    };
    known.ok_or_else(|| {
        let names: Vec<&str> = STATISTICS.iter().map(|(_, name)| *name).collect();
        format!("expected one of {}, bands:N, lags:N, correlations", names.join(", "))
    })
}

impl SignalArgs {
    /// The recipe for so many channels, if windows were asked for.
    ///
    /// # Errors
    /// What cannot be computed.
    pub fn recipe(&self, channels: usize) -> Result<Option<Recipe>, String> {
        let Some(window) = self.window else { return Ok(None) };
        let mut recipe = Recipe {
            channels,
            window,
            hop: self.hop.unwrap_or(window),
            statistics: 0,
            bands: 0,
            lags: 0,
            correlations: false,
        };
        for feature in &self.features {
            match *feature {
                Requested::Statistic(bit) => recipe.statistics |= bit,
                Requested::Bands(bands) => recipe.bands = bands,
                Requested::Lags(lags) => recipe.lags = lags,
                Requested::Correlations => recipe.correlations = true,
            }
        }
        match recipe.problem() {
            Some(problem) => Err(format!("--window, --hop, --features: {problem}")),
            None => Ok(Some(recipe)),
        }
    }
}

/// What stands behind a channel's name in that of a feature.
fn suffix(feature: Feature) -> String {
    match feature {
        Feature::Statistic(statistic) => {
            let name = STATISTICS.iter().find(|(other, _)| *other == statistic).map_or("", |(_, name)| *name);
            format!(".{name}")
        }
        Feature::Band(band) => format!(".band{}", band + 1),
        Feature::Lag(lag) => format!(".lag{lag}"),
        Feature::Correlation(_) => "~".to_owned(),
    }
}

/// What ends the name of every feature: window and hop. So names say all of a recipe, and a model whose features have them was fitted on
/// no other.
fn windowing(recipe: &Recipe) -> String {
    format!("@{}/{}", recipe.window, recipe.hop)
}

/// The names of a recipe's features, of channels with these names.
#[must_use]
pub fn feature_names(recipe: &Recipe, channels: &[String]) -> Vec<String> {
    let end = windowing(recipe);
    let name = |(channel, feature): (usize, Feature)| match feature {
        Feature::Correlation(other) => format!("{}~{}{end}", channels[channel], channels[other]),
        feature => format!("{}{}{end}", channels[channel], suffix(feature)),
    };
    (0..).map_while(|index| recipe.feature(index)).map(name).collect()
}

/// The names of the channels, of which these are the features; `None` if they are not the recipe's.
#[must_use]
pub fn channel_names(recipe: &Recipe, features: &[String]) -> Option<Vec<String>> {
    let mut channels = vec![None; recipe.channels];
    let end = windowing(recipe);
    for (index, name) in features.iter().enumerate() {
        let name = name.strip_suffix(&end)?;
        let (channel, feature) = recipe.feature(index)?;
        let (first, other) = match feature {
            Feature::Correlation(other) => {
                let (first, second) = name.split_once('~')?;
                (first, Some((other, second)))
            }
            feature => (name.strip_suffix(&suffix(feature))?, None),
        };
        channels[channel].get_or_insert_with(|| first.to_owned());
        if let Some((other, second)) = other {
            channels[other].get_or_insert_with(|| second.to_owned());
        }
    }
    let channels: Vec<String> = channels.into_iter().collect::<Option<_>>()?;
    (feature_names(recipe, &channels) == features).then_some(channels)
}

/// A stream of windows, with shapes at run time: what [`flowlet::signal::Windows`] is on a device.
#[derive(Clone, Debug)]
pub struct Stream {
    recipe: Recipe,
    ring: Vec<f32>,
    smoothed: Vec<f32>,
    scratch: Vec<f32>,
    cursor: Cursor,
}

impl Stream {
    /// A stream before its first sample.
    #[must_use]
    pub fn new(recipe: Recipe) -> Self {
        Self {
            ring: vec![0.0; recipe.channels * recipe.window],
            smoothed: vec![0.0; recipe.channels],
            scratch: vec![0.0; recipe.scratch()],
            cursor: Cursor::default(),
            recipe,
        }
    }

    /// Takes a sample; the features of the window that it completes, if it does.
    ///
    /// # Panics
    /// If the sample has not a value for each channel.
    pub fn push(&mut self, sample: &[f32]) -> Option<Vec<f32>> {
        assert_eq!(sample.len(), self.recipe.channels, "a sample has a value for each channel");
        let complete = self.recipe.push(&mut self.ring, &mut self.smoothed, &mut self.cursor, sample);
        complete.then(|| {
            let mut features = vec![0.0; self.recipe.features()];
            self.recipe.extract(&self.ring, &self.smoothed, &self.cursor, &mut self.scratch, &mut features);
            features
        })
    }
}

/// What the columns of a table of samples are, apart from channels.
#[derive(Clone, Debug, Default)]
pub struct Others<'a> {
    /// 1 in a window if it is in any of its samples.
    pub label: Option<&'a str>,
    /// No window holds samples of two groups.
    pub group: Option<&'a str>,
    /// As in a window's last sample.
    pub kept: &'a [String],
}

/// The table of readings that a table of samples gives: features of windows, the other columns, and the recipe. Readings have the line of
/// their last sample.
///
/// # Errors
/// For a column that is not there, and the first cell that is no number.
pub fn windowed(
    table: &Table,
    others: &Others<'_>,
    recipe: impl FnOnce(usize) -> Result<Recipe, String>,
) -> Result<(Table, Recipe), anyhow::Error> {
    let column = |name: &str| table.column(name, None);
    let label = others.label.map(column).transpose()?;
    let group = others.group.map(column).transpose()?;
    let kept: Vec<usize> = others.kept.iter().map(|name| column(name)).collect::<Result<_, _>>()?;
    let is_other = |index: &usize| label == Some(*index) || group == Some(*index) || kept.contains(index);
    let channels: Vec<usize> = (0..table.columns().len()).filter(|index| !is_other(index)).collect();
    let recipe = recipe(channels.len()).map_err(anyhow::Error::msg)?;
    let names: Vec<String> = channels.iter().map(|index| table.columns()[*index].clone()).collect();

    let mut extra: Vec<usize> = label.into_iter().chain(group).chain(kept).collect();
    extra.dedup();
    let mut columns = feature_names(&recipe, &names);
    columns.extend(extra.iter().map(|index| table.columns()[*index].clone()));
    let labels = label.map(|label| table.labels(label)).transpose()?;
    let mut stream = Stream::new(recipe);
    let (mut rows, mut begin) = (Vec::new(), 0);
    for row in 0..table.rows() {
        if group.is_some_and(|group| row > 0 && table.text(row, group) != table.text(row - 1, group)) {
            stream = Stream::new(recipe);
            begin = row;
        }
        let sample = table.matrix(&[row], &channels)?;
        let Some(features) = stream.push(sample.row(0)) else { continue };
        let window = row + 1 - recipe.window.min(row + 1 - begin)..=row;
        let mut cells: Vec<String> = features.iter().map(|value| format!("{value:?}")).collect();
        for &index in &extra {
            let is_anomalous = || labels.as_ref().is_some_and(|labels| labels[window.clone()].contains(&true));
            cells.push(match label == Some(index) {
                true => u8::from(is_anomalous()).to_string(),
                false => table.text(row, index).into_owned(),
            });
        }
        rows.push((table.place(row), cells));
    }
    if rows.is_empty() {
        return Err(DataError::NoWindow { file: table.file().to_owned(), window: recipe.window }.into());
    }
    Ok((Table::from_rows(table.file(), columns, rows), recipe))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Place;

    fn recipe(features: &str, channels: usize) -> Recipe {
        let features = features.split(',').map(|word| requested(word).unwrap()).collect();
        let args = SignalArgs { window: Some(8), hop: Some(4), features };
        args.recipe(channels).unwrap().unwrap()
    }

    #[test]
    fn names_tell_channels_and_features() {
        let recipe = recipe("rms,bands:2,lags:1,correlations,mean", 2);
        let channels = ["flow".to_owned(), "p.1".to_owned()];
        let names = feature_names(&recipe, &channels);
        assert_eq!(names[..5], ["flow.mean@8/4", "flow.rms@8/4", "flow.band1@8/4", "flow.band2@8/4", "flow.lag1@8/4"]);
        assert_eq!(names[10], "flow~p.1@8/4");
        for other in [Recipe { hop: 8, ..recipe }, Recipe { window: 16, ..recipe }, Recipe { bands: 3, ..recipe }] {
            assert_eq!(channel_names(&other, &names), None, "{other:?}");
        }
        assert_eq!(channel_names(&recipe, &names).as_deref(), Some(&channels[..]));
        assert_eq!(channel_names(&recipe, &names[1..]), None);
    }

    #[test]
    fn windows_keep_to_their_groups_and_take_any_label() {
        let mut text = "x,cycle,anomaly\n".to_owned();
        for row in 0..40 {
            text += &format!("{row},{},{}\n", row / 20, u8::from(row == 27));
        }
        let table = Table::parse("s.csv", text.as_bytes()).unwrap();
        let others = Others { label: Some("anomaly"), group: Some("cycle"), ..Others::default() };
        let (readings, _) = windowed(&table, &others, |channels| Ok(recipe("last,mean", channels))).unwrap();
        assert_eq!(readings.columns(), ["x.mean@8/4", "x.last@8/4", "anomaly", "cycle"]);
        let rows: Vec<_> = (0..readings.rows())
            .map(|row| (readings.text(row, 1).into_owned(), readings.text(row, 2).into_owned(), readings.place(row)))
            .collect();
        let expected = [(7, 0), (11, 0), (15, 0), (19, 0), (27, 1), (31, 1), (35, 0), (39, 0)];
        for ((last, label, place), (row, anomaly)) in rows.iter().zip(expected) {
            assert_eq!((last.as_str(), label.as_str()), (format!("{row}.0").as_str(), format!("{anomaly}").as_str()));
            assert_eq!(*place, Place::Line(row + 2));
        }
        assert_eq!(rows.len(), 8);
    }

    #[test]
    fn unknown_features_are_named_with_the_known_ones() {
        assert!(requested("rmse").unwrap_err().contains("expected one of mean, rms"));
        assert!(requested("bands:0").is_err());
        let args = SignalArgs { window: Some(60), hop: None, features: vec![Requested::Bands(4)] };
        assert!(args.recipe(1).unwrap_err().contains("8, 16, 32"));
    }
}
