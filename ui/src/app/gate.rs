//! Which screen a browser is shown, as a function of what the instance said.

use contract::admin::InstanceState;
use contract::{ApiError, ErrorCode};

use crate::load::LoadResult;

/// What stands between a browser and the panel.
#[derive(Clone, Debug, PartialEq)]
pub enum Gate {
    /// Nothing is known yet.
    Loading,
    /// The instance does not answer.
    Unreachable(ApiError),
    /// A first password must be chosen.
    Setup,
    /// The password is wanted.
    Login,
    /// Nothing.
    Panel,
}

/// Reads the gate from the answer to `/api/state`.
///
/// Once the panel is open a failing question does not close it: the pages show the error
/// beside their last good data.
pub fn of_instance(state: &LoadResult<InstanceState>) -> Gate {
    match (state.data.as_deref(), &state.error) {
        (None, None) => Gate::Loading,
        (None, Some(error)) if error.code == ErrorCode::SetupRequired => Gate::Setup,
        (None, Some(error)) => Gate::Unreachable(error.clone()),
        (Some(state), _) if state.setup_required => Gate::Setup,
        (Some(state), _) if !state.signed_in => Gate::Login,
        (Some(_), _) => Gate::Panel,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(setup_required: bool, signed_in: bool) -> LoadResult<InstanceState> {
        LoadResult::default().after(Ok(InstanceState {
            version: "0.1.0".into(),
            setup_required,
            signed_in,
            csrf: None,
        }))
    }

    #[test]
    fn the_instance_decides_between_set_up_login_and_panel() {
        assert_eq!(of_instance(&LoadResult::default()), Gate::Loading);
        assert_eq!(of_instance(&answered(true, false)), Gate::Setup);
        assert_eq!(of_instance(&answered(false, false)), Gate::Login);
        assert_eq!(of_instance(&answered(false, true)), Gate::Panel);
    }

    #[test]
    fn a_lost_connection_does_not_throw_anyone_out_of_the_panel() {
        let gone = ApiError::new(ErrorCode::Unreachable, "");
        let lost = answered(false, true).after(Err(gone.clone()));
        assert_eq!(of_instance(&lost), Gate::Panel);
        let never = LoadResult::default().after(Err(gone.clone()));
        assert_eq!(of_instance(&never), Gate::Unreachable(gone));
    }
}
