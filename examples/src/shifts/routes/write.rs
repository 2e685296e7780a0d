//! The answers that change something.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;

use super::App;
use super::asked::{Body, InPath};
use crate::shifts::failure::Failure;
use crate::shifts::model::{
    Employee, EmployeePlan, Job, JobPlan, Setting, SettingPlan, Shift, ShiftPlan,
};
use crate::shifts::reads;
use crate::shifts::writes::{self, Change};

/// How often a change is tried again when another one came between.
const TRIES: u32 = 8;

type Answer<T> = Result<Json<T>, Failure>;
type Created<T> = Result<(StatusCode, Json<T>), Failure>;

pub(super) async fn post_shift(
    State(app): State<App>,
    Body(plan): Body<ShiftPlan>,
) -> Created<Shift> {
    let new = plan.shift(0)?;
    let db = app.db.clone();
    let shift = app
        .write(async move { writes::add_shift(&db, new).await })
        .await?;
    Ok((StatusCode::CREATED, Json(shift)))
}

pub(super) async fn put_shift(
    State(app): State<App>,
    InPath(id): InPath<i64>,
    Body(plan): Body<ShiftPlan>,
) -> Answer<Shift> {
    let after = plan.shift(id)?;
    let db = app.db.clone();
    app.write(async move {
        for _ in 0..TRIES {
            // From the database, and not from the cache: its tags must be those of the row.
            let before = reads::shift::uncached(&db, id).await?;
            if writes::change_shift(&db, &before, &after).await? == Change::Made {
                return Ok(Json(after));
            }
        }
        Err(overtaken("shift", id))
    })
    .await
}

pub(super) async fn delete_shift(
    State(app): State<App>,
    InPath(id): InPath<i64>,
) -> Result<StatusCode, Failure> {
    let db = app.db.clone();
    app.write(async move {
        for _ in 0..TRIES {
            let before = reads::shift::uncached(&db, id).await?;
            if writes::remove_shift(&db, &before).await? == Change::Made {
                return Ok(StatusCode::NO_CONTENT);
            }
        }
        Err(overtaken("shift", id))
    })
    .await
}

pub(super) async fn put_employee(
    State(app): State<App>,
    InPath(id): InPath<i64>,
    Body(plan): Body<EmployeePlan>,
) -> Answer<Employee> {
    let after = plan.employee(id)?;
    let db = app.db.clone();
    app.write(async move {
        for _ in 0..TRIES {
            let before = reads::employee::uncached(&db, id).await?;
            if writes::change_employee(&db, &before, &after).await? == Change::Made {
                return Ok(Json(after));
            }
        }
        Err(overtaken("employee", id))
    })
    .await
}

pub(super) async fn post_job(State(app): State<App>, Body(plan): Body<JobPlan>) -> Created<Job> {
    // Workplaces do not change, so which city it is can be asked beforehand.
    let id = plan.workplace;
    let workplace = app
        .db
        .read(move |transaction| reads::find_workplace(transaction, id))
        .await
        .map_err(Failure::in_body)?;
    let new = plan.job(workplace)?;
    let db = app.db.clone();
    let job = app
        .write(async move { writes::add_job(&db, new).await })
        .await?;
    Ok((StatusCode::CREATED, Json(job)))
}

pub(super) async fn delete_job(
    State(app): State<App>,
    InPath(id): InPath<i64>,
) -> Result<StatusCode, Failure> {
    let db = app.db.clone();
    app.write(async move {
        for _ in 0..TRIES {
            let before = reads::job::uncached(&db, id).await?;
            if writes::remove_job(&db, &before).await? == Change::Made {
                return Ok(StatusCode::NO_CONTENT);
            }
        }
        Err(overtaken("job", id))
    })
    .await
}

pub(super) async fn put_setting(
    State(app): State<App>,
    InPath(key): InPath<String>,
    Body(plan): Body<SettingPlan>,
) -> Answer<Setting> {
    let value = plan.value;
    if key.len() > 100 || value.len() > 10_000 {
        return Err(Failure::wrong(
            "a setting's key has at most 100 bytes and its value 10000",
        ));
    }
    let setting = Setting { key, value };
    let db = app.db.clone();
    app.write(async move {
        writes::put_setting(&db, &setting).await?;
        Ok(Json(setting))
    })
    .await
}

fn overtaken(what: &str, id: i64) -> Failure {
    Failure::conflict(format!(
        "{what} {id} was changed by others again and again meanwhile: try later"
    ))
}
