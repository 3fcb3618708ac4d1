"""`make demo`: two nights and one call over an emulated tenant, and the page that shows them."""
