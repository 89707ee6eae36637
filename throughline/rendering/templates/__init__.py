"""jinja2 templates and stylesheets of pages (`throughline.rendering.page`)."""
