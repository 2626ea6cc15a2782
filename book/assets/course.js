// Sphinx fetches a summary for each search result; on a page opened from disk no fetch is allowed.
if (location.protocol === "file:") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;
