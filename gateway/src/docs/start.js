// A validatorUrl would send the document to another host.
SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#routes",
  validatorUrl: null,
  tryItOutEnabled: true,
  deepLinking: true,
});
