//! What only a real browser can show, run in one by `cargo xtask test --only wasm`.

use wasm_bindgen_test::{wasm_bindgen_test, wasm_bindgen_test_configure};

use super::{Host, browser};

wasm_bindgen_test_configure!(run_in_browser);

#[wasm_bindgen_test]
fn a_page_without_the_bridge_is_in_a_browser() {
    assert_eq!(Host::detect(), Host::BROWSER);
}

#[wasm_bindgen_test]
fn a_choice_is_there_at_the_next_visit() {
    assert_eq!(browser::remembered("gb-test-choice"), None);
    browser::remember("gb-test-choice", "深色");
    assert_eq!(
        browser::remembered("gb-test-choice").as_deref(),
        Some("深色")
    );
}

#[wasm_bindgen_test]
fn language_and_theme_are_set_on_the_page_itself() {
    let page = gloo::utils::document_element();
    browser::set_document_language("zh-CN");
    assert_eq!(page.get_attribute("lang").as_deref(), Some("zh-CN"));
    for dark in [true, false] {
        browser::set_dark(dark);
        assert_eq!(page.class_list().contains("pf-v6-theme-dark"), dark);
    }
}

#[wasm_bindgen_test]
async fn a_path_that_does_not_exist_is_an_error_with_a_way_out_and_no_panic() {
    let answer = Host::BROWSER.get::<String>("/api/nothing-here").await;
    let code = answer.map_err(|error| error.code);
    assert_eq!(
        code,
        Err(contract::ErrorCode::Internal),
        "a 404 page is no answer of ours"
    );
}
