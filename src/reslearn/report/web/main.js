// The page that a server shows.

import { start } from "./page.js";
import { serverAnswer, serverModels } from "./server.js";

start({ models: serverModels, answer: serverAnswer, ready: "readyServer" });
