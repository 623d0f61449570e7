//! The table of what was measured.

use std::fmt::Write;

use crate::measure::Figure;
use crate::workloads::{Better, Goal, Workload};

/// What a workload came to: the first figure is ours.
pub struct Outcome {
    pub workload: &'static Workload,
    pub figures: Vec<Figure>,
}

impl Outcome {
    pub fn ours(&self) -> &Figure {
        &self.figures[0]
    }

    /// The others; another figure of ours is none, and neither is what does less.
    pub fn peers(&self) -> impl Iterator<Item = &Figure> {
        let is_peer = |figure: &&Figure| !["Peerline", BARE].iter().any(|own| figure.name.starts_with(own));
        self.figures[1..].iter().filter(is_peer)
    }

    /// The encryption alone.
    fn bare(&self) -> Option<&Figure> {
        self.figures.iter().find(|figure| figure.name.starts_with(BARE))
    }

    pub fn best_peer(&self) -> &Figure {
        let order = |a: &&Figure, b: &&Figure| a.median.total_cmp(&b.median);
        let best = match self.workload.better {
            Better::Lower => self.peers().min_by(order),
            Better::Higher => self.peers().max_by(order),
        };
        best.expect("every workload has a peer")
    }

    pub fn ratio(&self) -> f64 {
        self.workload.ratio(self.ours().median, self.best_peer().median)
    }

    fn meets(&self, goal: Goal) -> bool {
        let beside = match goal {
            Goal::Bare(_) => self.bare().map_or(0.0, |bare| bare.median),
            Goal::Times(_) | Goal::Figure(_) => self.best_peer().median,
        };
        self.workload.meets(goal, self.ours().median, beside)
    }

    pub fn meets_floor(&self) -> bool {
        self.meets(self.workload.floor)
    }

    fn row(&self) -> String {
        let Self { workload, figures } = self;
        let ours = self.ours();
        let others = figures[1..].iter().map(|figure| {
            let Figure { name, version, median, .. } = figure;
            format!("{name} {version} {}", number(*median)).replace("  ", " ")
        });
        let met = |goal| if self.meets(goal) { "met" } else { "**missed**" };
        format!(
            "| {}, {} | {} ({} – {}) | {} | {:.2}× | {} {} | {} {} | ≥ {}× {} |",
            workload.name,
            workload.unit,
            number(ours.median),
            number(ours.low),
            number(ours.high),
            others.collect::<Vec<_>>().join("; "),
            self.ratio(),
            goal(workload, workload.floor),
            met(workload.floor),
            goal(workload, workload.aim),
            met(workload.aim),
            workload.aim_times,
            met(Goal::Times(workload.aim_times)),
        )
    }
}

/// All outcomes as a table in Markdown.
pub fn table(outcomes: &[Outcome]) -> String {
    let mut table = String::from(
        "| workload, unit | ours, median (range) | others | ours by the best peer | floor | aim | aim by the best peer |\n\
         |---|---|---|---|---|---|---|\n",
    );
    for outcome in outcomes {
        writeln!(table, "{}", outcome.row()).expect("memory has room");
    }
    table
}

/// `text` with what stands between the two marks replaced by `table`.
pub fn put_between(text: &str, table: &str) -> Result<String, String> {
    let (before, rest) = text.split_once(BEGIN).ok_or_else(|| format!("no line {BEGIN}"))?;
    let (_, after) = rest.split_once(END).ok_or_else(|| format!("no line {END}"))?;
    Ok(format!("{before}{BEGIN}\n\n{table}\n{END}{after}"))
}

fn goal(workload: &Workload, goal: Goal) -> String {
    let sign = match (workload.better, goal) {
        (Better::Lower, Goal::Figure(_)) | (_, Goal::Bare(_)) => '≤',
        (Better::Higher, _) | (_, Goal::Times(_)) => '≥',
    };
    match goal {
        Goal::Times(times) => format!("{sign} {times}×"),
        Goal::Figure(figure) => format!("{sign} {}", number(figure)),
        Goal::Bare(times) => format!("{sign} {times}× bare"),
    }
}

/// Three digits that say something.
fn number(value: f64) -> String {
    match value.abs() {
        large if large >= 100.0 => format!("{value:.0}"),
        middle if middle >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// What names of figures begin with that do less than a peer.
const BARE: &str = "bare";
const BEGIN: &str = "<!-- measured -->";
const END: &str = "<!-- /measured -->";
