//! `flowlet fit-many`: a model for each of many tables.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, mpsc};
use std::thread;

use anyhow::{Context, Result, bail};
use rayon::{ThreadPool, ThreadPoolBuilder};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use super::fingerprint::Fingerprint;
use super::fit::Job;
use super::interrupt;
use super::model_outputs::ModelOutputs;
use super::output::{Output, to_stdout};
use crate::cli::{FitManyArgs, FitOptions};
use crate::report::{Entry, Status, to_json};

/// The exit status when some tables have no model.
const SOME_WITHOUT_MODEL: u8 = 3;

pub fn run(args: &FitManyArgs) -> Result<ExitCode> {
    let tables = tables(&args.inputs)?;
    let tables = args.shard.map_or(tables.clone(), |shard| shard.of(tables));
    fs::create_dir_all(&args.out).with_context(|| format!("{}: cannot be made", args.out.display()))?;
    // Shards share a folder, and must not share a file.
    let name = args.shard.map_or("summary".to_owned(), |it| format!("summary-{}-of-{}", it.index, it.count));
    let [csv, json] = ["csv", "json"].map(|extension| args.out.join(format!("{name}.{extension}")));
    let (csv_output, json_output) = (Output::prepare(&csv)?, Output::prepare(&json)?);

    let cancel = interrupt::flag("ending the fits in hand: the same command goes on with what is left")?;
    let fleet = Fleet { out: &args.out, options: &args.options, memory: args.memory, cancel: &cancel };
    let entries = fleet.fit(&tables, args.jobs.map(usize::from), |done, entry| {
        if !args.quiet {
            eprintln!("{done}/{} {}", tables.len(), line(entry));
        }
    })?;

    csv_output.write(&to_csv(&entries)?)?;
    json_output.write(&to_json(&entries))?;
    let count = |status| entries.iter().filter(|entry| entry.status == status).count();
    let without = count(Status::Failed) + count(Status::Interrupted);
    if !args.quiet {
        to_stdout(|stdout| {
            writeln!(
                stdout,
                "{} tables: {} fitted, {} up to date, {} failed, {} interrupted; see {}",
                entries.len(),
                count(Status::Fitted),
                count(Status::UpToDate),
                count(Status::Failed),
                count(Status::Interrupted),
                csv.display()
            )
        })?;
    }
    Ok(if without == 0 { ExitCode::SUCCESS } else { ExitCode::from(SOME_WITHOUT_MODEL) })
}

/// The tables, in the order of their names; those of folders are the files that end in `.csv`.
fn tables(inputs: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut tables = Vec::new();
    for input in inputs {
        if !input.is_dir() {
            tables.push(input.clone());
            continue;
        }
        let unreadable = || format!("{}: cannot be read", input.display());
        let before = tables.len();
        for entry in fs::read_dir(input).with_context(unreadable)? {
            let path = entry.with_context(unreadable)?.path();
            if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("csv")) && path.is_file() {
                tables.push(path);
            }
        }
        if tables.len() == before {
            bail!("{}: holds no file that ends in .csv", input.display());
        }
    }
    tables.sort_by(|a, b| (a.file_stem(), a).cmp(&(b.file_stem(), b)));
    if let Some(pair) = tables.windows(2).find(|pair| pair[0].file_stem() == pair[1].file_stem()) {
        let [first, second] = [&pair[0], &pair[1]].map(|path| path.display());
        bail!("{first} and {second}: their models would have the same name (rename one, or fit them to two folders)");
    }
    Ok(tables)
}

/// How tables become models.
struct Fleet<'a> {
    out: &'a Path,
    options: &'a FitOptions,
    /// Bytes of memory that the readings of a table may take; no bit of a model depends on it.
    memory: usize,
    cancel: &'a AtomicBool,
}

/// What lies beside a model: what it was made of, the line that it has in summaries, and a report that nothing reads back.
#[derive(Debug, Serialize, Deserialize)]
struct Sidecar<R> {
    /// The fingerprint of the table and of all options.
    made_of: String,
    /// The fingerprint of the model's file.
    model: String,
    entry: Entry,
    notes: Vec<String>,
    report: R,
}

impl Fleet<'_> {
    /// The lines of all tables, in their order. `told` hears of each that is done, and how many are.
    fn fit(&self, tables: &[PathBuf], jobs: Option<usize>, mut told: impl FnMut(usize, &Entry)) -> Result<Vec<Entry>> {
        let cores = thread::available_parallelism()?.get();
        let jobs = jobs.unwrap_or(cores).min(tables.len());
        // Threads of their own and no tasks of one pool: a task that waits for its fit would begin another one meanwhile.
        let pool = |_| ThreadPoolBuilder::new().num_threads((cores / jobs).max(1)).build();
        let pools: Vec<ThreadPool> = (0..jobs).map(pool).collect::<Result<_, _>>()?;
        let queue = Mutex::new(tables.iter().enumerate());
        let take = || queue.lock().expect("nobody panics with it").next();
        let (send, receive) = mpsc::channel();
        let mut entries: Vec<Option<Entry>> = vec![None; tables.len()];
        thread::scope(|scope| {
            for pool in &pools {
                let (send, take) = (send.clone(), &take);
                scope.spawn(move || {
                    while let Some((index, table)) = take() {
                        let entry = pool.install(|| self.entry(table));
                        send.send((index, entry)).expect("the receiver outlives the scope");
                    }
                });
            }
            drop(send);
            for (done, (index, entry)) in (1..).zip(&receive) {
                told(done, &entry);
                entries[index] = Some(entry);
            }
        });
        Ok(entries.into_iter().flatten().collect())
    }

    /// What becomes of a table, whatever goes wrong with it.
    fn entry(&self, table: &Path) -> Entry {
        let file = table.display().to_string();
        if self.cancel.load(Ordering::Relaxed) {
            return Entry::without_model(file, Status::Interrupted, None);
        }
        match catch_unwind(AssertUnwindSafe(|| self.fit_one(table))) {
            Ok(Ok(entry)) => entry,
            Ok(Err(error)) => Entry::without_model(file, Status::Failed, Some(format!("{error:#}"))),
            Err(_) => Entry::without_model(file, Status::Failed, Some("a defect of flowlet ended the fit".to_owned())),
        }
    }

    fn fit_one(&self, table: &Path) -> Result<Entry> {
        let file = table.display().to_string();
        let stem = table.file_stem().with_context(|| format!("{file}: expected the name of a file"))?;
        let beside = |extension: &str| {
            let mut name = stem.to_owned();
            name.push(extension);
            self.out.join(name)
        };
        let (model, sidecar) = (beside(".flow"), beside(".fit.json"));
        let unreadable = || format!("{file}: cannot be read");
        // The text of the options has all of them, those of later versions too.
        let options = Fingerprint::default().text(env!("CARGO_PKG_VERSION")).text(&format!("{:?}", self.options));
        let made_of = options.file(table).with_context(unreadable)?.finish();
        if let Some(entry) = up_to_date(&sidecar, &made_of, &model) {
            return Ok(Entry { file, status: Status::UpToDate, ..entry });
        }
        let outputs = ModelOutputs::prepare(&model, &[table])?;
        let output = Output::prepare(&sidecar)?;
        let job = Job::new(table, None, self.options, self.memory)?;
        let (fitted, report) = job.fit(&mut (), self.cancel)?;
        if self.cancel.load(Ordering::Relaxed) {
            return Ok(Entry::without_model(file, Status::Interrupted, None));
        }
        outputs.write(&fitted.model, Some(&fitted.twin))?;
        let entry = Entry::fitted(file, model.display().to_string(), &report, job.notes.len());
        let written = Fingerprint::default().file(&model)?.finish();
        // Written last: a model with a sidecar of these fingerprints is whole.
        let content = Sidecar { made_of, model: written, entry: entry.clone(), notes: job.notes, report: &report };
        output.write(&to_json(&content))?;
        Ok(entry)
    }
}

/// The line of a model that was made of the same and has not changed since.
fn up_to_date(sidecar: &Path, made_of: &str, model: &Path) -> Option<Entry> {
    let sidecar: Sidecar<IgnoredAny> = serde_json::from_slice(&fs::read(sidecar).ok()?).ok()?;
    let found = Fingerprint::default().file(model).ok()?.finish();
    let is_whole = ModelOutputs::paths(model).iter().all(|path| path.is_file());
    (sidecar.made_of == made_of && sidecar.model == found && is_whole).then_some(sidecar.entry)
}

/// What is said of a table that is done.
fn line(entry: &Entry) -> String {
    let Entry { file, status, error, threshold, seconds, .. } = entry;
    match (status, error, threshold.zip(*seconds)) {
        (Status::Failed, Some(error), _) if error.starts_with(file) => format!("failed: {error}"),
        (Status::Failed, Some(error), _) => format!("failed: {file}: {error}"),
        (Status::UpToDate, ..) => format!("{file}: up to date"),
        (Status::Fitted, _, Some((threshold, seconds))) => {
            format!("{file}: fitted in {seconds:.0} s, alarm at scores above {threshold}")
        }
        _ => format!("{file}: interrupted"),
    }
}

fn to_csv(entries: &[Entry]) -> Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    entries.iter().try_for_each(|entry| writer.serialize(entry))?;
    Ok(writer.into_inner()?)
}
