//! `cache doctor`: what is wrong, found out step by step over the library's own way to Redis.

use cache_core::Env;
use serde_json::json;

use super::args::Doctor;
use super::ending::{Ending, Trouble};
use super::out::{Colour, Out};
use super::session::Session;
use super::typed::masked;

mod certificate;
mod connect;
mod fleet;
mod memory;
mod patient;
mod rights;
mod server;
mod shown;
mod source;
mod times;
mod tracking;
mod write;

use patient::Patient;

pub(super) async fn run(
    session: &Session,
    asked: &Doctor,
    out: &mut Out,
) -> Result<Ending, Trouble> {
    let mut report = Report {
        findings: Vec::new(),
        aloud: !asked.json,
        out,
    };
    let place = examine(session, &mut report).await?;
    let Report { findings, out, .. } = report;
    let failures = count(&findings, State::Failure);
    let warnings = count(&findings, State::Warning);
    if asked.json {
        let checks = findings.iter().map(Finding::plain);
        out.json(&json!({
            "healthy": failures == 0,
            "place": place,
            "namespace": session.namespace(),
            "failures": failures,
            "warnings": warnings,
            "checks": checks.collect::<Vec<_>>(),
        }))?;
    } else {
        out.line(&match (failures, warnings) {
            (0, 0) => "all is well".to_owned(),
            (failures, warnings) => format!("failures: {failures}, warnings: {warnings}"),
        })?;
    }
    Ok(if failures == 0 {
        Ending::Fine
    } else {
        Ending::Found
    })
}

/// Goes through all checks, as far as they make sense; returns where Redis is.
async fn examine(session: &Session, report: &mut Report<'_>) -> Result<Option<String>, Trouble> {
    let Some((endpoint, described)) = source::check(session, report)? else {
        report.skip(&connect::STEPS)?;
        report.skip(&patient::STEPS)?;
        return Ok(None);
    };
    let env = Env::system();
    let Some(connected) = connect::check(&endpoint, &env, report).await? else {
        report.skip(&patient::STEPS)?;
        return Ok(Some(described));
    };
    let mut patient = Patient::new(session, endpoint, env, connected);
    let speaks = server::ping(&mut patient, report).await?;
    if !speaks {
        report.skip(&patient::STEPS[1..])?;
        return Ok(Some(described));
    }
    let version = server::version(&mut patient, report).await;
    if !went_on("server", version, report)? {
        return Ok(Some(described));
    }
    rights::check(&mut patient, report).await?;
    let writes = write::check(&mut patient, report).await?;
    let memory = memory::check(&mut patient, report).await;
    if !went_on("memory", memory, report)? {
        return Ok(Some(described));
    }
    let tracking = tracking::check(&mut patient, writes, report).await;
    if !went_on("tracking", tracking, report)? {
        return Ok(Some(described));
    }
    times::latency(&mut patient, report).await?;
    times::clock(&mut patient, report).await?;
    fleet::check(session, report).await?;
    Ok(Some(described))
}

/// Whether the connection has outlasted a check. If not, that is what is wrong, and the rest is skipped.
fn went_on(
    check: &'static str,
    outcome: Result<(), Trouble>,
    report: &mut Report<'_>,
) -> Result<bool, Trouble> {
    let Err(Trouble::Failed(why)) = outcome else {
        return outcome.map(|()| true);
    };
    report.fail(check, why)?;
    let rest = patient::STEPS.iter().skip_while(|step| **step != check);
    let rest: Vec<&str> = rest.skip(1).copied().collect();
    report.skip(&rest)?;
    Ok(false)
}

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Ok,
    Warning,
    Failure,
    /// It would have made no sense after what came before it.
    Skipped,
}

impl State {
    fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failure => "failure",
            Self::Skipped => "skipped",
        }
    }
}

/// What a check has found out, and what is to be done.
struct Finding {
    check: &'static str,
    state: State,
    text: String,
}

impl Finding {
    fn plain(&self) -> serde_json::Value {
        json!({ "check": self.check, "state": self.state.name(), "text": self.text })
    }
}

fn count(findings: &[Finding], state: State) -> usize {
    findings.iter().filter(|found| found.state == state).count()
}

/// What was found so far, told as it is found.
struct Report<'a> {
    findings: Vec<Finding>,
    aloud: bool,
    out: &'a mut Out,
}

impl Report<'_> {
    fn add(
        &mut self,
        check: &'static str,
        state: State,
        text: impl Into<String>,
    ) -> Result<(), Trouble> {
        let text = masked(&text.into());
        if self.aloud {
            let colour = match state {
                State::Ok => Colour::Green,
                State::Warning => Colour::Yellow,
                State::Failure => Colour::Red,
                State::Skipped => Colour::Dim,
            };
            let mark = format!("{:<8}", state.name());
            self.out
                .marked(colour, &mark, &format!(" {check:<9} {text}"))?;
        }
        self.findings.push(Finding { check, state, text });
        Ok(())
    }

    fn ok(&mut self, check: &'static str, text: impl Into<String>) -> Result<(), Trouble> {
        self.add(check, State::Ok, text)
    }

    fn warn(&mut self, check: &'static str, text: impl Into<String>) -> Result<(), Trouble> {
        self.add(check, State::Warning, text)
    }

    fn fail(&mut self, check: &'static str, text: impl Into<String>) -> Result<(), Trouble> {
        self.add(check, State::Failure, text)
    }

    /// Says of checks that they were not made.
    fn skip(&mut self, checks: &[&'static str]) -> Result<(), Trouble> {
        for check in checks {
            self.add(
                check,
                State::Skipped,
                "not checked, because of the failure above",
            )?;
        }
        Ok(())
    }
}
