//! The one table of operations, in the order of the contract.

use std::future::{Future, ready};

use actix_web::http::Method;
use actix_web::http::header::{self, HeaderValue};

use crate::call::{Answer, Call, Operation, PLAIN, Refuse, error_answer};
use crate::config::Config;
use crate::error::{Fault, Kind, Result};
use crate::handlers::{create, delete, fetch, list, related_many, related_one, update, upsert};
use crate::oauth::{self, create_token};
use crate::resources::action::Action;
use crate::resources::bundle::Bundle;
use crate::resources::calendar_event::Event;
use crate::resources::calendar_event_response::Response;
use crate::resources::coach::Coach;
use crate::resources::email_history::Email;
use crate::resources::group::Group;
use crate::resources::health_profile::HealthProfile;
use crate::resources::health_profile_answer::Answer as HealthAnswer;
use crate::resources::health_profile_question::Question;
use crate::resources::health_question_definition::Definition;
use crate::resources::organization::Organization;
use crate::resources::patient::Patient;
use crate::resources::patient_health_metric::Metric;
use crate::resources::patient_plan_summary::Plan;
use crate::resources::result::HealthResult;
use crate::resources::reward::Reward;
use crate::resources::reward_earning::Earning;
use crate::resources::reward_earning_fulfillment::Fulfillment;
use crate::resources::reward_program::Program;
use crate::resources::reward_program_activation::Activation;
use crate::resources::token::Token;
use crate::router::{Place, Router};
use crate::{docs, health};

/// Every path of the API below `/pub`.
fn operations() -> Vec<Resource> {
    vec![
        at("/oauth/token").open_post(create_token, oauth::refuse),
        at("/oauth/token/{id}/groups").get(related_many::<Token, Group>),
        at("/oauth/token/{id}/organization").get(related_one::<Token, Organization>),
        at("/organization/{id}").get(fetch::<Organization>),
        at("/group").post(create::<Group>).get(list::<Group>),
        at("/group/{id}").get(fetch::<Group>),
        at("/coach").get(list::<Coach>),
        at("/coach/{id}").get(fetch::<Coach>),
        at("/calendar_event").post(create::<Event>).get(list::<Event>),
        at("/calendar_event/{id}").get(fetch::<Event>).patch(update::<Event>).delete(delete::<Event>),
        at("/calendar_event/{id}/owner").get(related_one::<Event, Patient>),
        at("/calendar_event_response").post(create::<Response>),
        at("/reward_program").post(create::<Program>).get(list::<Program>),
        at("/reward_program/{id}").get(fetch::<Program>),
        at("/reward_program/{id}/group").get(related_one::<Program, Group>),
        at("/email_history").get(list::<Email>),
        at("/email_history/{id}").get(fetch::<Email>),
        at("/email_history/{id}/receiver").get(related_one::<Email, Patient>),
        at("/email_history/{id}/sender").get(related_one::<Email, Coach>),
        at("/health_profile").get(list::<HealthProfile>),
        at("/health_profile/{id}").get(fetch::<HealthProfile>),
        at("/health_profile/{id}/patient").get(related_one::<HealthProfile, Patient>),
        at("/health_profile/{id}/questions").get(related_many::<HealthProfile, Question>),
        at("/health_profile_question").get(list::<Question>),
        at("/health_profile_question/{id}").get(fetch::<Question>),
        at("/health_profile_question/{id}/answer").get(related_one::<Question, HealthAnswer>),
        at("/health_profile_question/{id}/profile").get(related_one::<Question, HealthProfile>),
        at("/health_profile_question/{id}/question_definition").get(related_one::<Question, Definition>),
        at("/health_profile_answer").get(list::<HealthAnswer>),
        at("/health_profile_answer/{id}").get(fetch::<HealthAnswer>),
        at("/health_profile_answer/{id}/patient").get(related_one::<HealthAnswer, Patient>),
        at("/health_question_definition").get(list::<Definition>),
        at("/health_question_definition/{id}").get(fetch::<Definition>),
        at("/action").post(create::<Action>),
        at("/action/{id}").get(fetch::<Action>).patch(update::<Action>),
        at("/action/{id}/plan").get(related_one::<Action, Plan>),
        at("/action/{id}/bundles").get(related_many::<Action, Bundle>),
        at("/bundle").post(create::<Bundle>),
        at("/bundle/{id}").get(fetch::<Bundle>).patch(update::<Bundle>),
        at("/bundle/{id}/plan").get(related_one::<Bundle, Plan>),
        at("/bundle/{id}/actions").get(related_many::<Bundle, Action>),
        at("/patient_health_metric").post(create::<Metric>).get(list::<Metric>),
        at("/patient_health_metric/{id}").get(fetch::<Metric>),
        at("/patient_health_metric/{id}/patient").get(related_one::<Metric, Patient>),
        at("/patient").post(create::<Patient>).get(list::<Patient>).put(upsert::<Patient>),
        at("/patient/{id}").get(fetch::<Patient>).patch(update::<Patient>),
        at("/patient/{id}/groups").get(related_many::<Patient, Group>),
        at("/patient/{id}/coaches").get(related_many::<Patient, Coach>),
        at("/reward").post(create::<Reward>).get(list::<Reward>),
        at("/reward/{id}").get(fetch::<Reward>),
        at("/reward/{id}/patient").get(related_one::<Reward, Patient>),
        at("/reward/{id}/reward_program_activation").get(related_one::<Reward, Activation>),
        at("/reward_earning").post(create::<Earning>).get(list::<Earning>),
        at("/reward_earning/{id}").get(fetch::<Earning>),
        at("/reward_earning/{id}/group").get(related_one::<Earning, Group>),
        at("/reward_earning/{id}/patient").get(related_one::<Earning, Patient>),
        at("/reward_earning/{id}/reward_program_activation").get(related_one::<Earning, Activation>),
        at("/reward_earning/{id}/reward").get(related_one::<Earning, Reward>),
        at("/reward_earning_fulfillment").post(create::<Fulfillment>).get(list::<Fulfillment>),
        at("/reward_earning_fulfillment/{id}").get(fetch::<Fulfillment>),
        at("/reward_earning_fulfillment/{id}/patient").get(related_one::<Fulfillment, Patient>),
        at("/reward_earning_fulfillment/{id}/reward_earning").get(related_one::<Fulfillment, Earning>),
        at("/reward_program_activation").post(create::<Activation>).get(list::<Activation>),
        at("/reward_program_activation/{id}").get(fetch::<Activation>),
        at("/reward_program_activation/{id}/patient").get(related_one::<Activation, Patient>),
        at("/reward_program_activation/{id}/reward_program").get(related_one::<Activation, Program>),
        at("/patient_plan_summary").get(list::<Plan>),
        at("/patient_plan_summary/{id}").get(fetch::<Plan>).patch(update::<Plan>),
        at("/patient_plan_summary/{id}/actions").get(related_many::<Plan, Action>),
        at("/patient_plan_summary/{id}/bundles").get(related_many::<Plan, Bundle>),
        at("/patient_plan_summary/{id}/patient").get(related_one::<Plan, Patient>),
        at("/patient_plan_summary/{id}/current_results").get(related_many::<Plan, HealthResult>),
        at("/result").get(list::<HealthResult>),
        at("/result/{id}").get(fetch::<HealthResult>),
        at("/result/{id}/patient").get(related_one::<HealthResult, Patient>),
        at("/result/{id}/action").get(related_one::<HealthResult, Action>),
        at("/result/{id}/metric").get(related_one::<HealthResult, Metric>),
    ]
}

/// All of it.
pub fn router(config: &Config) -> Router {
    let mut router = Router::new(Operation::new(not_found, PLAIN));
    for resource in operations() {
        resource.register("/pub", &mut router);
    }
    // Quirk: the contract's tokenUrl has no /pub.
    at("/oauth/token").open_post(create_token, oauth::refuse).register("", &mut router);

    at("/openapi.yaml").get(docs::yaml).register("/pub", &mut router);
    at("/openapi.json").get(docs::json).register("/pub", &mut router);
    if config.docs {
        docs::paths().for_each(|path| at(path).get(docs::page).register("", &mut router));
    }
    let [alive, ready] = health::PATHS;
    at(alive).get(health::alive).register("", &mut router);
    at(ready).get(health::ready).register("", &mut router);
    router
}

async fn not_found(_: Call) -> Result<Answer> {
    Err(Fault::not_found().into())
}

/// A path and what can be done at it.
struct Resource {
    path: &'static str,
    operations: Vec<(Method, Operation)>,
}

fn at(path: &'static str) -> Resource {
    Resource { path, operations: Vec::new() }
}

impl Resource {
    /// HEAD comes with GET; the server leaves the body out.
    fn get<Fut: Future<Output = Result<Answer>> + 'static>(self, run: fn(Call) -> Fut) -> Self {
        self.on(Method::GET, run, PLAIN).on(Method::HEAD, run, PLAIN)
    }

    fn post<Fut: Future<Output = Result<Answer>> + 'static>(self, run: fn(Call) -> Fut) -> Self {
        self.on(Method::POST, run, PLAIN)
    }

    fn put<Fut: Future<Output = Result<Answer>> + 'static>(self, run: fn(Call) -> Fut) -> Self {
        self.on(Method::PUT, run, PLAIN)
    }

    fn patch<Fut: Future<Output = Result<Answer>> + 'static>(self, run: fn(Call) -> Fut) -> Self {
        self.on(Method::PATCH, run, PLAIN)
    }

    fn delete<Fut: Future<Output = Result<Answer>> + 'static>(self, run: fn(Call) -> Fut) -> Self {
        self.on(Method::DELETE, run, PLAIN)
    }

    /// POST for those who have no token yet, with a form of its own for requests
    /// that do not arrive whole.
    fn open_post<Fut>(mut self, run: fn(Call) -> Fut, refuse: Refuse) -> Self
    where
        Fut: Future<Output = Result<Answer>> + 'static,
    {
        self.operations.push((Method::POST, Operation::new(run, refuse).open()));
        self
    }

    fn on<Fut>(mut self, method: Method, run: fn(Call) -> Fut, refuse: Refuse) -> Self
    where
        Fut: Future<Output = Result<Answer>> + 'static,
    {
        self.operations.push((method, Operation::new(run, refuse)));
        self
    }

    fn register(self, base: &'static str, router: &mut Router) {
        let allowed: Vec<_> = self.operations.iter().map(|(method, _)| method.as_str()).collect();
        let allowed = allowed.join(", ");
        let otherwise = Operation::new(move |call| ready(Ok(method_not_allowed(&call, &allowed))), PLAIN);
        router.add(base, self.path, Place::new(format!("{base}{}", self.path), self.operations, otherwise));
    }
}

fn method_not_allowed(call: &Call, allowed: &str) -> Answer {
    let fault =
        Fault::new(Kind::MethodNotAllowed, format!("This path does not take {}; it takes {allowed}.", call.method()));
    let mut answer = error_answer(&fault.into(), call.req_id);
    answer.headers.extend(HeaderValue::from_str(allowed).map(|allowed| (header::ALLOW, allowed)));
    answer
}
