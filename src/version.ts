/** The version of package.json, kept here so that `cr --version` reads no file; a test compares the two. */
export const VERSION = "0.1.0";
