//! Looking on: instances, events, logs and metrics.

use serde_json::{Value, json};

use super::{Desk, Result, bad, not_found};
use crate::cloud::http::Answer;
use crate::cloud::rfc3339;
use crate::render::service::Service;
use crate::render::view;

impl Desk<'_> {
    pub(super) fn instances(&mut self, service: usize) -> Result {
        let instances: Vec<Value> = self
            .known(service)?
            .container
            .instance()
            .map(|instance| json!({ "id": instance.id, "createdAt": rfc3339(instance.created) }))
            .into_iter()
            .collect();
        Ok(Answer::json(200, &Value::Array(instances)))
    }

    pub(super) fn events(&mut self, service: usize) -> Result {
        let (from, to) = self.window(i64::MIN)?;
        let known = self.state.services.get(service);
        let field = |event: &Value, name: &str| {
            let value = event.get(name).and_then(Value::as_str);
            value.unwrap_or_default().to_owned()
        };
        let events = known
            .into_iter()
            .flat_map(|known| known.events.iter().rev())
            .filter(|event| {
                let at = nanos_of(&field(event, "timestamp")).unwrap_or_default();
                self.wanted("type", &field(event, "type")) && from <= at && at <= to
            })
            .map(|event| (field(event, "id"), event.clone()))
            .collect();
        self.page("event", events)
    }

    /// `startTime` and `endTime` in nanoseconds; the start, when absent, in milliseconds
    /// before now.
    fn window(&self, before: i64) -> Result<(i128, i128)> {
        let time = |name: &str| {
            self.call
                .parameter(name)
                .map(|given| nanos_of(given).ok_or_else(|| bad(format!("invalid {name}"))))
                .transpose()
        };
        let start = i128::from(self.now.saturating_sub(before.saturating_abs())) * 1_000_000;
        let end = i128::from(self.now) * 1_000_000 + 999_999;
        Ok((
            time("startTime")?.unwrap_or(start),
            time("endTime")?.unwrap_or(end),
        ))
    }

    pub(super) fn logs(&self) -> Result {
        let owner = self
            .call
            .parameter("ownerId")
            .ok_or_else(|| bad("ownerId is required"))?;
        let wanted: Vec<&str> = self.call.parameters("resource").collect();
        if wanted.is_empty() {
            return Err(bad("resource is required"));
        }
        let limit = match self.call.parameter("limit") {
            None => 20,
            Some(limit) => limit
                .parse()
                .ok()
                .filter(|limit| (1..=100).contains(limit))
                .ok_or_else(|| bad("limit must be between 1 and 100"))?,
        };
        let is_backward = match self.call.parameter("direction") {
            None | Some("backward") => true,
            Some("forward") => false,
            Some(_) => return Err(bad("direction must be backward or forward")),
        };
        let (from, to) = self.window(3_600_000)?;
        let mut lines = Vec::new();
        for id in wanted {
            let known = self.state.services.iter().find(|known| known.id == id);
            let known = known
                .filter(|known| known.owner == owner)
                .ok_or_else(|| not_found(id))?;
            lines.extend(
                known
                    .lines
                    .iter()
                    .filter(|line| {
                        from <= line.at
                            && line.at <= to
                            && self.wanted("type", line.kind)
                            && self.wanted("level", line.level)
                            && self.wanted("instance", line.instance.as_deref().unwrap_or_default())
                            && self
                                .call
                                .parameter("text")
                                .is_none_or(|text| line.text.contains(text))
                    })
                    .map(|line| (line.at, view::log_line(known, line))),
            );
        }
        lines.sort_by_key(|(at, _)| *at);
        if is_backward {
            lines.reverse();
        }
        let has_more = lines.len() > limit;
        lines.truncate(limit);
        let last = lines.last().map(|(at, _)| *at);
        // Both ends of a window belong to it, so the next one begins one nanosecond on.
        let (next_from, next_to) = match last {
            Some(at) if is_backward => (from, at - 1),
            Some(at) => (at + 1, to),
            None => (from, to),
        };
        let lines: Vec<Value> = lines.into_iter().map(|(_, line)| line).collect();
        Ok(Answer::json(
            200,
            &json!({
                "hasMore": has_more,
                "nextStartTime": view::nanos(next_from),
                "nextEndTime": view::nanos(next_to),
                "logs": lines,
            }),
        ))
    }

    pub(super) fn metrics(&self, what: &str) -> Result {
        let resolution: i64 = match self.call.parameter("resolutionSeconds") {
            None => 60,
            Some(given) => given
                .parse()
                .ok()
                .filter(|seconds| *seconds >= 30)
                .ok_or_else(|| bad("resolutionSeconds must be at least 30"))?,
        };
        let unit = match what {
            "cpu" => "CPU",
            "memory" | "memory-limit" | "bandwidth" => "bytes",
            "http-requests" => "requests",
            "http-latency" => "milliseconds",
            "instance-count" => "instances",
            _ => return Err(view::error(404, view::usual_message(404))),
        };
        let (from, to) = self.window(3_600_000)?;
        let step = resolution * 1000;
        let minute = |nanos: i128| i64::try_from(nanos.div_euclid(1_000_000)).unwrap_or_default();
        let (from, to) = (minute(from).div_euclid(step) * step, minute(to));
        if (to - from) / step > 10_000 {
            return Err(bad("too many data points; ask for a coarser resolution"));
        }
        let asked: Vec<&str> = self
            .call
            .parameters("resource")
            .flat_map(|ids| ids.split(','))
            .collect();
        let series: Vec<Value> = self
            .state
            .services
            .iter()
            .filter(|service| asked.contains(&service.id.as_str()))
            .map(|service| {
                let since = service
                    .container
                    .instance()
                    .map(|instance| instance.created);
                let values: Vec<Value> = (0..)
                    .map(|i| from + i * step)
                    .take_while(|at| *at <= to)
                    .filter_map(|at| {
                        let is_up = since.is_some_and(|since| at + step > since);
                        let value = value_of(what, service, at, at + step, is_up)?;
                        Some(json!({ "timestamp": rfc3339(at), "value": value }))
                    })
                    .collect();
                json!({
                    "labels": [{ "field": "resource", "value": service.id }],
                    "values": values,
                    "unit": unit,
                })
            })
            .collect();
        Ok(Answer::json(200, &Value::Array(series)))
    }
}

/// A metric between two times in milliseconds; `None` where there is no value.
fn value_of(what: &str, service: &Service, from: i64, to: i64, is_up: bool) -> Option<f64> {
    let (requests, bytes) = service
        .traffic
        .range(from.div_euclid(60_000)..to.div_euclid(60_000).max(from.div_euclid(60_000) + 1))
        .fold((0, 0), |sum, (_, minute)| {
            (sum.0 + minute.0, sum.1 + minute.1)
        });
    #[expect(clippy::cast_precision_loss, reason = "counts of a test are small")]
    match what {
        "http-requests" => Some(requests as f64),
        "bandwidth" => Some(bytes as f64),
        "memory-limit" => Some(512.0 * 1024.0 * 1024.0),
        "instance-count" => Some(if is_up { service.instances as f64 } else { 0.0 }),
        "http-latency" if requests == 0 => None,
        _ if !is_up => None,
        "cpu" => Some(0.01),
        "memory" => Some(42.0 * 1024.0 * 1024.0),
        _ => Some(12.0),
    }
}

/// RFC 3339 as nanoseconds since 1970-01-01T00:00:00Z.
fn nanos_of(time: &str) -> Option<i128> {
    let time: jiff::Timestamp = time.parse().ok()?;
    Some(time.as_nanosecond())
}
