//! Query strings, read as each list reads them: the first byte says which.

#![no_main]

use std::hint::black_box;

use libfuzzer_sys::fuzz_target;
use retwine::jsonapi::{Filters, Parameters};
use retwine::resource::List;
use retwine::resources::action::Action;
use retwine::resources::bundle::Bundle;
use retwine::resources::calendar_event::Event;
use retwine::resources::coach::Coach;
use retwine::resources::email_history::Email;
use retwine::resources::group::Group;
use retwine::resources::health_profile::HealthProfile;
use retwine::resources::health_profile_answer::Answer;
use retwine::resources::health_profile_question::Question;
use retwine::resources::health_question_definition::Definition;
use retwine::resources::patient::Patient;
use retwine::resources::patient_health_metric::Metric;
use retwine::resources::patient_plan_summary::Plan;
use retwine::resources::result::HealthResult;
use retwine::resources::reward::Reward;
use retwine::resources::reward_earning::Earning;
use retwine::resources::reward_earning_fulfillment::Fulfillment;
use retwine::resources::reward_program::Program;
use retwine::resources::reward_program_activation::Activation;

const LISTS: [fn(&str); 19] = [
    read::<Action>,
    read::<Bundle>,
    read::<Event>,
    read::<Coach>,
    read::<Email>,
    read::<Group>,
    read::<HealthProfile>,
    read::<Answer>,
    read::<Question>,
    read::<Definition>,
    read::<Patient>,
    read::<Metric>,
    read::<Plan>,
    read::<HealthResult>,
    read::<Reward>,
    read::<Earning>,
    read::<Fulfillment>,
    read::<Program>,
    read::<Activation>,
];

fn read<R: List>(query: &str) {
    let path = format!("/pub/{}", R::TYPE);
    let parameters = Parameters::parse(query);
    black_box(R::filter(&Filters(&parameters)));
    let window = parameters.window(&path, R::SORTS, R::PAGING);
    black_box(window.paging);
    black_box((parameters.fieldsets(), parameters.include(R::INCLUDES)));
    parameters.refuse_unread();
    black_box(parameters.faults.check().is_ok());

    // Whoever follows a link asks for the same list.
    let link = parameters.link(&path, &[]);
    let (again, query) = link.split_once('?').unwrap_or((&link, ""));
    assert_eq!(again, path);
    assert_eq!(Parameters::parse(query).list(&path), parameters.list(&path), "{link}");
}

fuzz_target!(|data: &[u8]| {
    if let Some((first, rest)) = data.split_first()
        && let Ok(query) = std::str::from_utf8(rest)
    {
        LISTS[usize::from(*first) % LISTS.len()](query);
    }
});
