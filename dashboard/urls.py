from __future__ import annotations

from django.urls import path

from dashboard import views

urlpatterns = [
    path("", views.page, name="dashboard"),
    path("all.zip", views.everything, name="dashboard-all"),
    path("<slug:name>.csv", views.table, name="dashboard-csv"),
]
